"""Computing parts on Dask: several GPUs of one machine, or a cluster."""
