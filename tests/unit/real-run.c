// SPDX-License-Identifier: LGPL-2.1-or-later
#include "real-run.h"

#include "run.c"
