/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that are locked by the process that is at something, and go with it:
 * the library's and the tool's, each with a copy of this code.
 */
#ifndef XLRBD_LOCKFILE_H
#define XLRBD_LOCKFILE_H

#include <stdbool.h>

/*
 * Its descriptor, locked; -EWOULDBLOCK if somebody has it, or another negative
 * errno value.  Does not wait.
 */
int xlrbd__lockfile_take(const char *path, bool make)
	__attribute__((warn_unused_result));
/* Deletes and closes it; -1 is fine. */
void xlrbd__lockfile_drop(int fd);

#endif /* XLRBD_LOCKFILE_H */
