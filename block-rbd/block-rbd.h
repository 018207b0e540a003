/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BLOCK_RBD_H
#define BLOCK_RBD_H

#define EXIT_USAGE	2

/* gc.c: argv[0] is "gc"; returns an exit status */
int run_gc(int argc, char **argv);

#endif /* BLOCK_RBD_H */
