"""The same work by privlab and by its peers, side by side, as ratios measured in one run.

Linear algebra has one thread in every process, those of peers included.
"""

import os

# Read when NumPy is first imported, here and in every process that is started from here.
for _setting in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_setting] = "1"
