/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of attaching and of preparing a disk look at afterwards.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "fake.h"

/* A step of what works, and what follows when it fails instead. */
struct step {
	const char *step;
	const char *undo;
};

/* The first @n of @steps, then what @rest says. */
void expect_journal(const struct step *steps, int n, const char *rest);
void expect_nothing_open(void);
void expect_nothing_left(void);

#endif /* EXPECT_H */
