"""MXNet Gluon."""

from impls.gluon.libraries import load_nvidia_libraries

# Before any module of this package imports MXNet.
load_nvidia_libraries()
