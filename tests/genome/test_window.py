from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from varscore.genome.contigs import Stretch
from varscore.genome.encoding import decode
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit, minimal_edit
from varscore.genome.window import Window, WindowPolicy, build_window, fits

OFFSET = 1000
CHROMOSOME = "".join(random.Random(1).choices("ACGT", k=150))
POLICY = WindowPolicy(length=64, index=31)

alleles = st.text("ACGT", max_size=40)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    path = tmp_path_factory.mktemp("window") / "reference.fa"
    path.write_text(f">whole\n{CHROMOSOME}\n>chr1:{OFFSET + 1}-{OFFSET + len(CHROMOSOME)}\n{CHROMOSOME}\n")
    with Reference(path) as reference:
        yield reference


def window_of(reference: Reference, edit: Edit, shift: int = 0, policy: WindowPolicy = POLICY) -> Window:
    stretch = reference.stretch("whole", 0)
    assert stretch is not None
    return build_window(reference, stretch, edit, policy, shift)


def window_strings(sequence: str, edit: Edit, policy: WindowPolicy, shift: int) -> tuple[str, str]:
    """The same windows from the whole chromosome as a string: edited, padded with N, cut out."""
    margin = 2 * policy.length
    edited = sequence[: edit.start] + edit.alt + sequence[edit.start + len(edit.ref) :]
    start = edit.anchor - policy.index - shift + margin
    padded = ["N" * margin + s + "N" * margin for s in (sequence, edited)]
    return padded[0][start : start + policy.length], padded[1][start : start + policy.length]


@given(st.integers(0, len(CHROMOSOME)), st.integers(0, 40), alleles, st.integers(-20, 20))
def test_windows_are_those_of_the_edited_string(
    reference: Reference, start: int, deleted: int, alt: str, shift: int
) -> None:
    ref = CHROMOSOME[start : start + deleted]
    assume(ref or alt)
    edit = minimal_edit(start + 1, ref, alt)
    assume(fits(edit, POLICY, shift))
    window = window_of(reference, edit, shift)
    assert (decode(window.ref), decode(window.alt)) == window_strings(CHROMOSOME, edit, POLICY, shift)
    assert window.variant_index == POLICY.index + shift
    assert len(window.ref) == len(window.alt) == POLICY.length


@pytest.mark.parametrize(
    ("pos", "ref_length", "alt"),
    [
        pytest.param(80, 1, None, id="SNV"),
        pytest.param(80, 3, None, id="MNV"),
        pytest.param(1, 1, None, id="SNV at the first base"),
        pytest.param(150, 1, None, id="SNV at the last base"),
        pytest.param(80, 1, "+GATTACA", id="insertion"),
        pytest.param(150, 1, "+GATTACA", id="insertion after the last base"),
        pytest.param(80, 9, "-", id="deletion"),
        pytest.param(140, 11, "-", id="deletion of the end"),
        pytest.param(80, 5, "GATTACA", id="complex"),
    ],
)
def test_kinds_of_variants(reference: Reference, pos: int, ref_length: int, alt: str | None) -> None:
    ref = CHROMOSOME[pos - 1 : pos - 1 + ref_length]
    assert len(ref) == ref_length
    complement = ref.translate(str.maketrans("ACGT", "TGCA"))
    alt = complement if alt is None else ref[0] if alt == "-" else ref + alt[1:] if alt[0] == "+" else alt
    edit = minimal_edit(pos, ref, alt)
    window = window_of(reference, edit)
    assert (decode(window.ref), decode(window.alt)) == window_strings(CHROMOSOME, edit, POLICY, 0)
    assert decode(window.ref) != decode(window.alt)
    left = edit.start - window.start
    assert decode(window.ref[:left]) == decode(window.alt[:left])


def test_a_deletion_of_the_first_bases_is_anchored_before_the_contig(reference: Reference) -> None:
    window = window_of(reference, Edit(0, CHROMOSOME[:4], "", anchor=-1))
    assert decode(window.ref) == "N" * 32 + CHROMOSOME[:32]
    assert decode(window.alt) == "N" * 32 + CHROMOSOME[4:36]


def test_two_spellings_give_the_same_window(reference: Reference) -> None:
    before, gone, after = CHROMOSOME[69], CHROMOSOME[70:74], CHROMOSOME[74]
    assert gone[-1] != after or gone[0] != before
    short = window_of(reference, minimal_edit(70, before + gone, before))
    long = window_of(reference, minimal_edit(70, before + gone + after, before + after))
    assert (short.start, short.edit) == (long.start, long.edit)
    assert decode(short.alt) == decode(long.alt) != decode(short.ref)


def test_an_edit_of_equal_alleles_changes_nothing(reference: Reference) -> None:
    window = window_of(reference, minimal_edit(80, "ACG", "ACG"))
    assert decode(window.ref) == decode(window.alt) == CHROMOSOME[79 - 31 : 79 + 33]


def test_a_positive_shift_moves_the_sequence_right(reference: Reference) -> None:
    edit = minimal_edit(80, CHROMOSOME[79], "A" if CHROMOSOME[79] != "A" else "C")
    still, shifted = window_of(reference, edit), window_of(reference, edit, shift=3)
    assert shifted.start == still.start - 3
    assert shifted.variant_index == 34
    assert decode(shifted.ref[3:]) == decode(still.ref[:-3])


def test_an_extract_gives_the_windows_of_its_chromosome(reference: Reference) -> None:
    stretch = reference.stretch("1", OFFSET + 5)
    assert stretch is not None
    assert stretch == Stretch(f"chr1:{OFFSET + 1}-{OFFSET + 150}", OFFSET, 150, whole=False)
    edit = minimal_edit(OFFSET + 6, CHROMOSOME[5:8], "")
    window = build_window(reference, stretch, edit, POLICY)
    local = window_of(reference, minimal_edit(6, CHROMOSOME[5:8], ""))
    assert window.start == local.start + OFFSET
    assert decode(window.ref) == decode(local.ref)
    assert decode(window.alt) == decode(local.alt)


def test_the_longest_edits_that_fit(reference: Reference) -> None:
    assert fits(Edit(80, "", "A" * 32, 79), POLICY)
    assert not fits(Edit(80, "", "A" * 33, 79), POLICY)
    assert fits(Edit(80, "A" * 33, "C", 80), POLICY)
    assert not fits(Edit(80, "A" * 33, "C", 80), POLICY, shift=1)
    assert not fits(Edit(80, "A", "C", 80), POLICY, shift=-32)
    with pytest.raises(ValueError, match="does not fit"):
        window_of(reference, Edit(80, "", "A" * 33, 79))


@pytest.mark.parametrize(("length", "index"), [(0, 0), (10, 10), (10, -1)])
def test_an_impossible_policy(length: int, index: int) -> None:
    with pytest.raises(ValueError, match="does not lie in a window"):
        WindowPolicy(length, index)


def test_the_default_policy_is_enformers() -> None:
    assert WindowPolicy() == WindowPolicy(length=196_608, index=98_303)
