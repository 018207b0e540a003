/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain web1 that is to arrive in the fake world, as 1/51712: what
 * check-prepare.c and check-arrive.c share.
 */
#ifndef ARRIVING_H
#define ARRIVING_H

#include "expect.h"

#define PATH "backend/vbd/1/51712"
#define TARGET "rbd:web1"
#define UUID_1 "82de1d03-0000-4000-8000-000000000001"
#define UUID_9 "82de1d03-0000-4000-8000-000000000009"
/* By the fake cluster. */
#define IMAGE "/0/1234"

/* What is to arrive, its one disk, and where gc looks. */
struct arriving {
	struct xlrbd_ctx *ctx;
	struct xlrbd_arrival *arrival;
	struct xlrbd_disk disk;
	struct xlrbd_spec pool;
};

extern struct arriving arriving;

/* The fixture: begun, nothing prepared. */
void arriving_setup(void);
void arriving_teardown(void);
int arriving_begin(void);
/* Prepares the disk, and looks that it is. */
void arriving_prepare(void);
/* libxl has made the disk's nodes, and runs add. */
int arriving_add(void);
int arriving_end(void);
/* As SIGKILL: nothing the receiver does has an effect any more; locks end. */
void arriving_die(void);

void forget_journal(void);
bool did(const char *steps);
/* No step that undoes anything. */
void expect_untouched(void);
/* Mapped, held and recorded, for web1; not published. */
void expect_prepared(void);

#endif /* ARRIVING_H */
