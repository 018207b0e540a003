// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Attaching a disk before its domain arrives: the order, each step failing in
 * turn, and whoever receives the domain killed at each.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arriving.h"
#include "unit.h"

/* Those of add without reading the vbd and without publishing. */
static const struct step steps[] = {
	{ "parse-path", "" },
	{ "store-open", "" },
	{ "lock-vbd", "" },
	{ "read-record", "" },
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
	{ "record", "unmap break-held forget" },
};

#define N_STEPS ((int)XLRBD__ARRAY_SIZE(steps))

static int prepare(void)
{
	return xlrbd_arrival_prepare(arriving.arrival, &arriving.disk);
}

/* Its first entry is there: on this host it is known what for already. */
static void expect_awaits(void)
{
	ck_assert(fake.recorded);
	ck_assert_str_eq(fake.awaits, TARGET);
	ck_assert_str_eq(fake.record.uuid, UUID_1);
	ck_assert(fake.record.writable);
}

START_TEST(in_order)
{
	const char *cookie = fake.lockers[0].cookie;

	fake.on_list = expect_awaits;
	ck_assert_int_eq(prepare(), 0);
	expect_journal(steps, N_STEPS, "");
	expect_prepared();
	ck_assert_int_gt(fake.n_lists, 0);
	ck_assert_str_eq(xlrbd_error(arriving.ctx), "");
	ck_assert_ptr_nonnull(strstr(cookie, ",held,w,"));
	ck_assert_ptr_nonnull(strstr(cookie, ",1,51712," UUID_1 ","));
	ck_assert_ptr_nonnull(strstr(cookie, ",web1--incoming"));
}
END_TEST

START_TEST(undoes_each_step)
{
	fake.fail_at = _i;
	ck_assert_int_eq(prepare(), -EIO);
	expect_journal(steps, _i + 1, steps[_i].undo);
	expect_nothing_left();
	ck_assert_str_ne(xlrbd_error(arriving.ctx), "");
	/* Other disks, or this one once more, may go well. */
	ck_assert(fake.arrival_locked);
	fake.fail_at = -1;
	arriving_prepare();
}
END_TEST

/* When no answer comes, the entry may be there all the same. */
START_TEST(withdraws_what_timed_out)
{
	fake.fail_at = _i;
	fake.fail_rc = -ETIMEDOUT;
	ck_assert_int_eq(prepare(), -ETIMEDOUT);
	expect_journal(steps, _i + 1, strcmp(steps[_i].step, "add-held") ?
		       "break-pending forget" :
		       "unmap break-held break-pending forget");
	expect_nothing_left();
}
END_TEST

START_TEST(twice)
{
	arriving_prepare();
	arriving_prepare();
}
END_TEST

START_TEST(read_only)
{
	arriving.disk.writable = 0;
	arriving_prepare();
	ck_assert_ptr_nonnull(strstr(fake.lockers[0].cookie, ",held,r,"));
	ck_assert(!fake.record.writable);
	fake.writable = false;
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert(fake.published_by_us && !did("connect"));
}
END_TEST

/* An entry on another host; "web1" is the very domain, before it moves. */
static void add_other(const char *uuid, const char *domain)
{
	struct xlrbd__cookie cookie = {
		.state = XLRBD_HELD, .mode = XLRBD_MODE_W,
		.domid = 5, .devid = 51712, .addr = "10.77.0.12:0/99",
		.host = { "xen2", "33333333333333333333333333333333",
			  "44444444-4444-4444-4444-444444444444" },
	};
	char text[XLRBD__COOKIE_MAX];

	strcpy(cookie.uuid, uuid);
	strcpy(cookie.domain, domain);
	xlrbd__cookie_format(&cookie, text);
	fake_lock("xlrbd", "xlrbd", false, "client.9", text);
}

START_TEST(beside_the_source)
{
	add_other(UUID_1, "web1");
	ck_assert_int_eq(prepare(), 0);
	ck_assert_uint_eq(fake_count("held"), 2);
	ck_assert_int_eq(arriving_end(), 0);
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert_str_eq(fake.lockers[0].client, "client.9");
}
END_TEST

START_TEST(what_another_holds)
{
	add_other(UUID_9, "web9");
	ck_assert_int_eq(prepare(), -EBUSY);
	ck_assert_uint_eq(fake.n_lockers, 1);
	fake_break("client.9", "held");
	expect_nothing_left();
}
END_TEST

static const struct {
	const char *target, *image;
	int rc;
} elsewhere[] = {
	{ TARGET, "/0/1235", -EXDEV },
	{ TARGET, "/1/1234", -EXDEV },
	{ TARGET, "9f8bdf5c-0000-0000-0000-000000000000/0/1234", -EXDEV },
	{ TARGET, "", -EXDEV },
	/* Not there yet: then it certainly is not the same. */
	{ TARGET ",clone=debian@v1", IMAGE, -ENOENT },
	{ TARGET ",clone=debian@v1,ephemeral", IMAGE, -ENOENT },
};

START_TEST(another_image)
{
	arriving.disk.target = elsewhere[_i].target;
	arriving.disk.image = elsewhere[_i].image;
	ck_assert_int_eq(prepare(), elsewhere[_i].rc);
	ck_assert(!did("record add-pending") && !did("map"));
	expect_nothing_left();
	/* Nor made. */
	ck_assert_str_eq(fake.images, "");
	ck_assert(!did("note-lock"));
	ck_assert_msg(!strncmp(xlrbd_error(arriving.ctx), "rbd/web1: is ", 13),
		      "%s", xlrbd_error(arriving.ctx));
}
END_TEST

START_TEST(without_knowing_the_image)
{
	arriving.disk.image = NULL;
	arriving_prepare();
}
END_TEST

/* The domid was guessed, and another domain has it. */
START_TEST(living_disk)
{
	strcpy(fake.domain, "web9");
	strcpy(fake.uuid, UUID_9);
	ck_assert_int_eq(arriving_add(), 0);
	forget_journal();
	ck_assert_int_eq(prepare(), -EEXIST);
	ck_assert_str_eq(fake.journal, "parse-path store-open lock-vbd");
	ck_assert_str_ne(xlrbd_error(arriving.ctx), "");
	ck_assert(fake.mapped && fake.recorded);
	ck_assert_uint_eq(fake_count("held"), 1);
	expect_nothing_open();
}
END_TEST

START_TEST(image_of_a_disk)
{
	char image[XLRBD_IMAGE_MAX];

	ck_assert_int_eq(xlrbd_vbd_image(arriving.ctx, 1, 51712, image),
			 -ENOENT);
	ck_assert_str_eq(xlrbd_error(arriving.ctx),
			 "domain 1, disk 51712: not attached by block-rbd on this host");
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert_int_eq(xlrbd_vbd_image(arriving.ctx, 1, 51712, image), 0);
	ck_assert_str_eq(image, IMAGE);
	forget_journal();
	fake.fail_at = 0;
	ck_assert_int_eq(xlrbd_vbd_image(arriving.ctx, 1, 51712, image), -EIO);
	ck_assert_str_eq(xlrbd_error(arriving.ctx), "read-record failed");
}
END_TEST

/* Dies just before each step, and after the last one. */
static void die_at(int step)
{
	fake.dead_from = step;
	ck_assert_int_eq(prepare(), step < N_STEPS ? -EIO : 0);
	arriving_die();
	expect_nothing_open();
}

START_TEST(killed_then_begin)
{
	die_at(_i);
	ck_assert_int_eq(arriving_begin(), 0);
	expect_nothing_left();
}
END_TEST

START_TEST(killed_then_gc)
{
	int left;

	die_at(_i);
	left = fake.recorded;
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), left);
	expect_nothing_left();
	ck_assert(!fake.arrival_locked);
}
END_TEST

/* The domain comes all the same: published only with an entry that holds. */
START_TEST(killed_then_arrives)
{
	die_at(_i);
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert(fake.mapped && fake.recorded && fake.published_by_us);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert(did("connect") == (_i < N_STEPS));
	expect_nothing_open();
	ck_assert_int_eq(xlrbd_vbd_remove(arriving.ctx, PATH), 0);
	fake.published_by_us = false;
	expect_nothing_left();
}
END_TEST

static void fail_to_unmap(const char *name)
{
	if (!strcmp(name, "unmap"))
		fake.fail_at = fake.n_steps;
}

/* What a failed prepare could not undo is no disk to publish either. */
START_TEST(failed_then_arrives)
{
	for (fake.fail_at = 0; fake.fail_at < N_STEPS; fake.fail_at++)
		if (!strcmp(steps[fake.fail_at].step, "add-held"))
			break;
	/* An entry that may be there, or not. */
	fake.fail_rc = -ETIMEDOUT;
	fake.on_step = fail_to_unmap;
	ck_assert_int_eq(prepare(), -ETIMEDOUT);
	ck_assert(fake.mapped && fake.recorded);
	ck_assert_uint_eq(fake_count("held"), 0);
	fake.on_step = NULL;
	fake.fail_at = -1;
	if (_i)
		arriving_die();
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

Suite *prepare_suite(void)
{
	Suite *suite = suite_create("prepare");
	TCase *tcase = tcase_create("prepare");
	int i;

	tcase_add_checked_fixture(tcase, arriving_setup, arriving_teardown);
	tcase_add_test(tcase, in_order);
	tcase_add_loop_test(tcase, undoes_each_step, 0, N_STEPS);
	for (i = 0; i < N_STEPS; i++)
		if (!strncmp(steps[i].step, "add-", 4))
			tcase_add_loop_test(tcase, withdraws_what_timed_out,
					    i, i + 1);
	tcase_add_test(tcase, twice);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, beside_the_source);
	tcase_add_test(tcase, what_another_holds);
	tcase_add_loop_test(tcase, another_image, 0,
			    XLRBD__ARRAY_SIZE(elsewhere));
	tcase_add_test(tcase, without_knowing_the_image);
	tcase_add_test(tcase, living_disk);
	tcase_add_test(tcase, image_of_a_disk);
	tcase_add_loop_test(tcase, killed_then_begin, 0, N_STEPS + 1);
	tcase_add_loop_test(tcase, killed_then_gc, 0, N_STEPS + 1);
	tcase_add_loop_test(tcase, killed_then_arrives, 0, N_STEPS + 1);
	tcase_add_loop_test(tcase, failed_then_arrives, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
