/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BLOCK_RBD_H
#define BLOCK_RBD_H

#define EXIT_USAGE	2

/* block-rbd.c: an xlrbd_log_fn */
void log_to_syslog(void *data, int level, const char *message);
/* gc.c, takeover.c: argv[0] is the command's name; returns an exit status */
int run_gc(int argc, char **argv);
int run_takeover(int argc, char **argv);

#endif /* BLOCK_RBD_H */
