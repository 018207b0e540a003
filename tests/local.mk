# SPDX-License-Identifier: LGPL-2.1-or-later

include tests/unit/local.mk

# What needs root, a cluster or a hypervisor: see tests/run.
EXTRA_DIST += tests/run tests/demo tests/style tests/lib tests/integration \
	tests/lab tests/model
