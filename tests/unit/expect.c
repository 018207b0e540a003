// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the tests of attaching and of preparing a disk look at afterwards.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "expect.h"

void expect_journal(const struct step *steps, int n, const char *rest)
{
	char expected[4096] = "";
	int i;

	for (i = 0; i < n; i++)
		snprintf(expected + strlen(expected),
			 sizeof(expected) - strlen(expected), "%s%s",
			 i ? " " : "", steps[i].step);
	snprintf(expected + strlen(expected),
		 sizeof(expected) - strlen(expected), "%s%s",
		 *rest ? " " : "", rest);
	ck_assert_str_eq(fake.journal, expected);
}

void expect_nothing_open(void)
{
	ck_assert(!fake.vbd_locked);
	ck_assert(!fake.image_locked);
	ck_assert_int_eq(fake.stores, 0);
	ck_assert_int_eq(fake.connections, 0);
}

void expect_nothing_left(void)
{
	expect_nothing_open();
	ck_assert(!fake.mapped);
	ck_assert(!fake.recorded);
	ck_assert(!fake.published_by_us);
	ck_assert_uint_eq(fake.n_lockers, 0);
}
