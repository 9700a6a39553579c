# SPDX-License-Identifier: MIT
"""Long tests carry the mark `full`; they run with --full, that is by `make test-full`."""

import os

import pytest

from machine import IMAGE, IS_OURS
from toolstack import Toolstack


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


class Kept:
    """dom0 with the stock tools, as its module's MACHINE describes it (arguments of Toolstack).
    It serves one test after another; each must leave it as it was, or is the last."""
    pc = settings = None

    def get(self, settings, directory):
        if self.pc is None or self.settings != settings:
            self.drop()
            self.pc = Toolstack(directory, **settings).__enter__()
            self.settings = settings
            self.pc.wait_shell()
        return self.pc

    def drop(self):
        if self.pc:
            self.pc.__exit__()
        self.pc = None


KEPT = Kept()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed
    elif outcome.get_result().failed:
        KEPT.drop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    if not hasattr(getattr(nextitem, "module", None), "MACHINE"):
        KEPT.drop()


def pytest_sessionfinish():
    KEPT.drop()


@pytest.fixture
def dom0(request, tmp_path_factory):
    settings = request.module.MACHINE
    pc = KEPT.get(settings, tmp_path_factory.mktemp("dom0"))
    yield pc
    if getattr(request.node, "failed", False):
        pc.send("\x03\x03\n")
        pc.wait(lambda: pc.dom0_text().endswith("# "), "prompt after a failure")
    pc.check_nothing_left()
