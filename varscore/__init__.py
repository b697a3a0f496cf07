"""varscore: what a variant does to gene regulation, as per-track Enformer scores.

`varscore.score_vcf` is the whole tool in one call; the command line is a thin shell around it.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "score_vcf"]

if TYPE_CHECKING:
    from varscore.pipeline import score_vcf


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `varscore --help` and `import varscore` do not wait for it
    if name == "score_vcf":
        from varscore.pipeline import score_vcf

        return score_vcf
    raise AttributeError(f"module 'varscore' has no attribute {name!r}")
