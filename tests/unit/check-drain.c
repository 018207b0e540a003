// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting until the disks of a suspended domain are still.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <limits.h>

#include "fake.h"
#include "unit.h"

#define PATH "backend/vbd/1/51712"
#define DOMID 1
/* More than any test waits; and enough to wait in vain. */
#define LONG_MS 20000
#define SHORT_MS 60

static struct xlrbd_ctx *ctx;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.journal[0] = '\0';
	fake.n_steps = 0;
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

static const struct {
	int in_flight, busy;
} waits[] = {
	{ 0, 0 },
	{ 1, 0 }, { 4, 0 },	/* what was asked for is answered */
	{ 0, 1 }, { 0, 6 },	/* answered at once, but more comes */
	{ 2, 5 }, { 5, 2 },
};

START_TEST(waits_until_still)
{
	fake.looks_in_flight = waits[_i].in_flight;
	fake.looks_busy = waits[_i].busy;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, LONG_MS), 0);
	ck_assert_int_eq(fake.looks_in_flight, 0);
	ck_assert_int_eq(fake.looks_busy, 0);
	/* Still is what two looks have in common. */
	ck_assert_int_ge(fake.n_looks, 2);
	ck_assert_str_eq(xlrbd_error(ctx), "");
}
END_TEST

START_TEST(gives_up)
{
	*(_i ? &fake.looks_in_flight : &fake.looks_busy) = INT_MAX;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, SHORT_MS), -ETIMEDOUT);
	ck_assert_str_eq(xlrbd_error(ctx),
			 "/dev/rbd7 (rbd/web1): requests are still in flight; is the cluster slow? See `ceph -s`");
}
END_TEST

/* It has looked, even if there is no time left to look again. */
START_TEST(no_time)
{
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, 0), 0);
	fake.looks_in_flight = 1;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, 0), -ETIMEDOUT);
}
END_TEST

START_TEST(unmapped_is_still)
{
	fake.mapped = false;
	fake.looks_in_flight = INT_MAX;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, LONG_MS), 0);
}
END_TEST

/* Its add has not come that far, or its remove farther. */
START_TEST(never_mapped_is_still)
{
	fake.record.device.id = -1;
	fake.looks_in_flight = INT_MAX;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, LONG_MS), 0);
	ck_assert_int_eq(fake.n_looks, 0);
}
END_TEST

START_TEST(others_are_not_waited_for)
{
	fake.looks_in_flight = INT_MAX;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID + 1, LONG_MS), 0);
	fake.recorded = false;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, LONG_MS), 0);
	ck_assert_int_eq(fake.n_looks, 0);
}
END_TEST

/* Not known to be still. */
START_TEST(records_cannot_be_read)
{
	fake.fail_at = _i;
	ck_assert_int_eq(xlrbd_drain(ctx, DOMID, LONG_MS), -EIO);
	ck_assert_str_eq(fake.journal, _i ? "list-records read-record" :
					    "list-records");
	ck_assert_str_ne(xlrbd_error(ctx), "");
}
END_TEST

Suite *drain_suite(void)
{
	Suite *suite = suite_create("drain");
	TCase *tcase = tcase_create("drain");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, waits_until_still, 0,
			    XLRBD__ARRAY_SIZE(waits));
	tcase_add_loop_test(tcase, gives_up, 0, 2);
	tcase_add_test(tcase, no_time);
	tcase_add_test(tcase, unmapped_is_still);
	tcase_add_test(tcase, never_mapped_is_still);
	tcase_add_test(tcase, others_are_not_waited_for);
	tcase_add_loop_test(tcase, records_cannot_be_read, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
