# SPDX-License-Identifier: MIT
"""Long tests carry the mark `full`; they run with --full, that is by `make test-full`."""

import os

import pytest

from machine import IMAGE, IS_OURS


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long tests as well")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: runs only with --full")
    config.addinivalue_line("markers", "ours: asks for what only our own hypervisor does")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("full") and not config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="long: runs with --full"))
        if item.get_closest_marker("ours") and not IS_OURS:
            item.add_marker(pytest.mark.skip(reason=f"of no meaning with {os.path.basename(IMAGE)}"))
