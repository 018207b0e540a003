// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The order of add and remove, each step failing in turn, and the exact order
 * of undoing.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "expect.h"
#include "unit.h"

#define PATH "backend/vbd/1/51712"

static struct xlrbd_ctx *ctx;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

/*
 * The steps of an add that works, and what follows when one fails: what was
 * done before is undone backwards, nothing else.
 */
static const struct step add_steps[] = {
	{ "parse-path", "" },
	{ "store-open", "" },
	{ "lock-vbd", "" },
	{ "read-vbd", "" },
	{ "read-record", "" },	/* prepared? */
	{ "read-record", "" },	/* left over? */
	{ "connect", "" },
	{ "open-image", "" },
	{ "note?", "" },
	{ "krbd-check", "" },
	{ "check-full", "" },
	{ "host", "" },
	{ "lock-image", "" },
	{ "record", "" },
	{ "add-pending", "forget" },
	{ "list-rbd_lock", "break-pending forget" },
	{ "list-xlrbd", "break-pending forget" },
	{ "access", "break-pending forget" },
	{ "record", "break-pending forget" },
	{ "map", "break-pending forget" },
	{ "record", "unmap break-pending forget" },
	{ "add-held", "unmap break-pending forget" },
	{ "list-xlrbd", "unmap break-held break-pending forget" },
	{ "break-pending", "unmap break-held break-pending forget" },
	{ "publish", "unmap break-held forget" },
};

#define N_ADD_STEPS ((int)XLRBD__ARRAY_SIZE(add_steps))

START_TEST(add_in_order)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	expect_journal(add_steps, N_ADD_STEPS, "");
	expect_nothing_open();
	ck_assert(fake.mapped && fake.recorded && fake.published_by_us);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake_count("pending"), 0);
	ck_assert_str_eq(xlrbd_error(ctx), "");
}
END_TEST

START_TEST(add_undoes_each_step)
{
	fake.fail_at = _i;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EIO);
	expect_journal(add_steps, _i + 1, add_steps[_i].undo);
	expect_nothing_left();
	ck_assert_str_ne(xlrbd_error(ctx), "");
}
END_TEST

/* When no answer comes, the entry may be there all the same. */
START_TEST(add_withdraws_what_timed_out)
{
	fake.fail_at = _i;
	fake.fail_rc = -ETIMEDOUT;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -ETIMEDOUT);
	expect_journal(add_steps, _i + 1, strcmp(add_steps[_i].step, "add-held") ?
		       "break-pending forget" :
		       "unmap break-held break-pending forget");
	expect_nothing_left();
}
END_TEST

/* The undo of a failed publish fails in turn: what is left is on record. */
static const struct {
	const char *step;
	bool mapped;
	size_t lockers;
} undo_steps[] = {
	{ "unmap", true, 1 },
	{ "break-held", false, 1 },
	{ "forget", false, 0 },
};

START_TEST(add_records_what_it_cannot_undo)
{
	fake.publish_fails = true;
	fake.fail_at = N_ADD_STEPS + _i;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -ECANCELED);
	expect_nothing_open();
	ck_assert(fake.mapped == undo_steps[_i].mapped);
	ck_assert_uint_eq(fake.n_lockers, undo_steps[_i].lockers);
	ck_assert(fake.recorded);

	/* And remove finishes it. */
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	expect_nothing_left();
}
END_TEST

START_TEST(add_read_only)
{
	fake.writable = false;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_ptr_nonnull(strstr(fake.journal, "map-ro"));
	ck_assert_ptr_null(strstr(fake.journal, "check-full"));
	ck_assert_ptr_nonnull(strstr(fake.lockers[0].cookie, ",held,r,"));
}
END_TEST

START_TEST(add_uses_rbd_lock_without_exclusive_lock)
{
	fake.features = 1;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_str_eq(fake.lockers[0].lock, "rbd_lock");
}
END_TEST

START_TEST(add_when_published)
{
	fake.published = true;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_str_eq(fake.journal,
			 "parse-path store-open lock-vbd read-vbd");
	expect_nothing_left();
}
END_TEST

START_TEST(add_after_a_killed_one)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.published_by_us = false;
	fake.journal[0] = '\0';
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	/* blkback waits for us, so add must not wait for blkback. */
	ck_assert_ptr_nonnull(strstr(fake.journal,
				     "read-record lock-image list-records unmap connect open-pool break-held break-pending forget connect open-image"));
	ck_assert_ptr_null(strstr(fake.journal, "blkback-gone"));
	ck_assert_uint_eq(fake.n_lockers, 1);
	expect_nothing_open();
}
END_TEST

/* What does not go together is refused before the cluster is asked. */
static const struct {
	const char *params;
	bool writable;
	int rc;
	const char *error;
} modes[] = {
	{ "web1", true, 0, NULL },
	{ "web1", false, 0, NULL },
	{ "web1,mode=w", true, 0, NULL },
	{ "web1,mode=w!", true, 0, NULL },
	{ "web1,mode=r", false, 0, NULL },
	{ "web1,mode=r!", false, 0, NULL },
	{ "web1@s", false, 0, NULL },
	{ "web1@s,mode=r!", false, 0, NULL },
	{ "web1,mode=w", false, -EINVAL,
	  "rbd/web1: mode=w in target does not go with access=ro of the disk" },
	{ "web1,mode=w!", false, -EINVAL,
	  "rbd/web1: mode=w! in target does not go with access=ro of the disk" },
	{ "web1,mode=r", true, -EINVAL,
	  "rbd/web1: mode=r in target does not go with access=rw of the disk" },
	{ "web1,mode=r!", true, -EINVAL,
	  "rbd/web1: mode=r! in target does not go with access=rw of the disk" },
	{ "web1@s", true, -EROFS,
	  "rbd/web1@s: a snapshot cannot be written to; add access=ro to the disk" },
};

START_TEST(add_resolves_the_mode)
{
	strcpy(fake.params, modes[_i].params);
	fake.writable = modes[_i].writable;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), modes[_i].rc);
	if (!modes[_i].error)
		return;
	ck_assert_str_eq(xlrbd_error(ctx), modes[_i].error);
	ck_assert_ptr_null(strstr(fake.journal, "connect"));
	expect_nothing_left();
}
END_TEST

static const char *const remove_steps[] = {
	"parse-path", "store-open", "lock-vbd", "read-record", "blkback-gone",
	"lock-image", "list-records", "unmap", "connect", "open-pool", "break-held",
	"break-pending", "forget",
};

#define N_REMOVE_STEPS ((int)XLRBD__ARRAY_SIZE(remove_steps))

static void add_first(void)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.journal[0] = '\0';
	fake.n_steps = 0;
	fake.published_by_us = false;
}

START_TEST(remove_in_order)
{
	char expected[1024] = "";
	int i;

	add_first();
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	for (i = 0; i < N_REMOVE_STEPS; i++)
		sprintf(expected + strlen(expected), "%s%s", i ? " " : "",
			remove_steps[i]);
	ck_assert_str_eq(fake.journal, expected);
	expect_nothing_left();
}
END_TEST

START_TEST(remove_can_be_repeated_after_each_step)
{
	add_first();
	fake.fail_at = _i;
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), -EIO);
	expect_nothing_open();
	/* Mapped implies held, held implies recorded: never the reverse. */
	ck_assert(!fake.mapped || fake.n_lockers);
	ck_assert(!fake.n_lockers || fake.recorded);
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	expect_nothing_left();
}
END_TEST

START_TEST(remove_twice)
{
	add_first();
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	expect_nothing_left();
}
END_TEST

START_TEST(remove_of_what_never_was)
{
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	ck_assert_str_eq(fake.journal,
			 "parse-path store-open lock-vbd read-record forget");
	expect_nothing_left();
}
END_TEST

Suite *attach_suite(void)
{
	Suite *suite = suite_create("attach");
	TCase *add = tcase_create("add");
	TCase *rm = tcase_create("remove");
	int i;

	tcase_add_checked_fixture(add, setup, teardown);
	tcase_add_test(add, add_in_order);
	tcase_add_loop_test(add, add_undoes_each_step, 0, N_ADD_STEPS);
	for (i = 0; i < N_ADD_STEPS; i++)
		if (!strncmp(add_steps[i].step, "add-", 4))
			tcase_add_loop_test(add, add_withdraws_what_timed_out,
					    i, i + 1);
	tcase_add_loop_test(add, add_records_what_it_cannot_undo, 0,
			    XLRBD__ARRAY_SIZE(undo_steps));
	tcase_add_test(add, add_read_only);
	tcase_add_test(add, add_uses_rbd_lock_without_exclusive_lock);
	tcase_add_test(add, add_when_published);
	tcase_add_test(add, add_after_a_killed_one);
	tcase_add_loop_test(add, add_resolves_the_mode, 0,
			    XLRBD__ARRAY_SIZE(modes));
	suite_add_tcase(suite, add);
	tcase_add_checked_fixture(rm, setup, teardown);
	tcase_add_test(rm, remove_in_order);
	tcase_add_loop_test(rm, remove_can_be_repeated_after_each_step, 0,
			    N_REMOVE_STEPS);
	tcase_add_test(rm, remove_twice);
	tcase_add_test(rm, remove_of_what_never_was);
	suite_add_tcase(suite, rm);
	return suite;
}
