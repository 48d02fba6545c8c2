"""With which face trackers a test runs; the fixture ``tracker`` of their room opens them."""

import pytest

HERE = (pytest.param("mediapipe", marks=pytest.mark.shared), "dlib")
"""Those that follow real heads; MediaPipe where its model file is."""

real = pytest.mark.parametrize("tracker", HERE, indirect=True)
every = pytest.mark.parametrize("tracker", [*HERE, "haar"], indirect=True)
