// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking whether a disk could be attached: what is asked, and that nothing is
 * changed.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "expect.h"
#include "unit.h"

static struct xlrbd_ctx *ctx;
static struct xlrbd_disk disk;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	disk = (struct xlrbd_disk){
		.target = "rbd:web1", .vdev = "xvda", .writable = true,
	};
}

static void teardown(void)
{
	expect_nothing_open();
	expect_nothing_left();
	xlrbd_free(ctx);
}

static int look(void)
{
	return xlrbd_disk_check(ctx, "web1", &disk);
}

static const struct step steps[] = {
	{ "connect", "" },
	{ "open-image", "" },
	{ "note?", "" },
	{ "krbd-check", "" },
	{ "check-full", "" },
};

#define N_STEPS ((int)XLRBD__ARRAY_SIZE(steps))

START_TEST(in_order)
{
	/* Who holds it is no affair of this. */
	fake_lock("xlrbd", "other", true, "client.9", "theirs");
	ck_assert_int_eq(look(), 0);
	expect_journal(steps, N_STEPS, "");
	fake.n_lockers = 0;
}
END_TEST

START_TEST(each_step_fails)
{
	fake.fail_at = _i;
	ck_assert_int_eq(look(), -EIO);
	expect_journal(steps, _i + 1, "");
	ck_assert_str_ne(xlrbd_error(ctx), "");
}
END_TEST

/* A full pool keeps no reader out. */
START_TEST(read_only)
{
	disk.writable = false;
	ck_assert_int_eq(look(), 0);
	expect_journal(steps, N_STEPS - 1, "");
}
END_TEST

START_TEST(not_made_yet)
{
	disk.target = "rbd:web1,clone=gold/debian@v1";
	ck_assert_int_eq(look(), 0);
	ck_assert_str_eq(fake.images, "");
	/* The pool that it will be in. */
	ck_assert_ptr_nonnull(strstr(fake.journal, "enter krbd-check check-full"));
	/* Nor made again. */
	disk.target = "rbd:web1,clone=gold/debian@v1,ephemeral";
	strcpy(fake.images, "web1,");
	strcpy(fake.mark, "ephemeral gold/debian@v1");
	ck_assert_int_eq(look(), 0);
	ck_assert_str_eq(fake.images, "web1,");
	/* Nor finished. */
	fake.noted = true;
	ck_assert_int_eq(look(), 0);
	ck_assert(fake.noted);
}
END_TEST

static const struct {
	const char *target, *sentence;
	bool writable;
	int rc;
} bad[] = {
	{ "rbd:web1,nonsense", "nonsense", true, -EINVAL },
	{ "rbd:web1,mode=r!", "mode=r!", true, -EINVAL },
	{ "rbd:web1@v1", "a snapshot cannot be written to", true, -EROFS },
	/* Named after the domain. */
	{ "rbd:", "", true, 0 },
};

START_TEST(what_the_target_says)
{
	disk.target = bad[_i].target;
	disk.writable = bad[_i].writable;
	ck_assert_int_eq(look(), bad[_i].rc);
	ck_assert_msg(strstr(xlrbd_error(ctx), bad[_i].sentence),
		      "%s", xlrbd_error(ctx));
}
END_TEST

Suite *disk_suite(void)
{
	Suite *suite = suite_create("disk");
	TCase *tcase = tcase_create("disk");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, in_order);
	tcase_add_loop_test(tcase, each_step_fails, 0, N_STEPS);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, not_made_yet);
	tcase_add_loop_test(tcase, what_the_target_says, 0,
			    XLRBD__ARRAY_SIZE(bad));
	suite_add_tcase(suite, tcase);
	return suite;
}
