"""MXNet Gluon."""
