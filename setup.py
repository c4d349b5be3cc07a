"""The part of the build that pyproject.toml cannot express: ext/PLACE/NAME.pyx becomes a module.

Its name is onlooker.PLACE.NAME.
"""

import os
import shlex
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

HEADERS = sorted(map(str, [*Path("ext").rglob("*.pxd"), *Path("ext").rglob("*.h")]))

# Portable flags: a wheel built here must run on any machine of this architecture.
# Loops that gain from wider vectors choose them at load time (target_clones in ext/*.h).
FLAGS = [] if sys.platform == "win32" else ["-O3", "-fno-math-errno", "-fno-trapping-math", "-g0"]
FLAGS += shlex.split(os.environ.get("CFLAGS", ""))  # a packager's have the last word

# Python's own flags ask for debug symbols; without symbols the modules are a tenth of the size.
LINK_FLAGS = ["-Wl,-s"] if sys.platform == "linux" else []


def module(pyx: Path) -> str:
    return ".".join(["onlooker", *pyx.relative_to("ext").with_suffix("").parts])


setup(
    ext_modules=cythonize(
        [
            Extension(
                module(pyx),
                [str(pyx)],
                depends=[str(pyx), *HEADERS],
                include_dirs=["ext", numpy.get_include()],
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
                extra_compile_args=FLAGS,
                extra_link_args=LINK_FLAGS,
            )
            for pyx in sorted(Path("ext").rglob("*.pyx"))
        ],
        include_path=["ext"],
        build_dir="build",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "autotestdict": False,
        },
    ),
)
