// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <check.h>

#include "internal.h"
#include "unit.h"

START_TEST(counts_down)
{
	struct xlrbd__deadline deadline;
	int64_t left;

	xlrbd__deadline_set(&deadline, 60000);
	left = xlrbd__deadline_left(&deadline);
	ck_assert_int_gt(left, 0);
	ck_assert_int_le(left, 60000);
	xlrbd__deadline_set(&deadline, -1);
	ck_assert_int_eq(xlrbd__deadline_left(&deadline), 0);
}
END_TEST

START_TEST(pause_doubles_up_to_its_most)
{
	struct xlrbd__deadline deadline;
	unsigned int pause_ms = 1;

	xlrbd__deadline_set(&deadline, 60000);
	ck_assert(xlrbd__deadline_pause(&deadline, &pause_ms, 3));
	ck_assert_uint_eq(pause_ms, 2);
	ck_assert(xlrbd__deadline_pause(&deadline, &pause_ms, 3));
	ck_assert_uint_eq(pause_ms, 3);
	ck_assert(xlrbd__deadline_pause(&deadline, &pause_ms, 3));
	ck_assert_uint_eq(pause_ms, 3);
}
END_TEST

START_TEST(pause_never_passes_the_end)
{
	struct xlrbd__deadline deadline, generous;
	unsigned int pause_ms = 3600000;

	xlrbd__deadline_set(&generous, 60000);
	xlrbd__deadline_set(&deadline, 20);
	ck_assert(xlrbd__deadline_pause(&deadline, &pause_ms, pause_ms));
	ck_assert(!xlrbd__deadline_pause(&deadline, &pause_ms, pause_ms));
	ck_assert_int_gt(xlrbd__deadline_left(&generous), 0);
}
END_TEST

Suite *deadline_suite(void)
{
	Suite *suite = suite_create("deadline");
	TCase *tcase = tcase_create("deadline");

	tcase_add_test(tcase, counts_down);
	tcase_add_test(tcase, pause_doubles_up_to_its_most);
	tcase_add_test(tcase, pause_never_passes_the_end);
	suite_add_tcase(suite, tcase);
	return suite;
}
