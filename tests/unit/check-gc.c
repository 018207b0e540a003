// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is this host's own leftover, and what is not to be touched.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define PATH "backend/vbd/1/51712"

static const struct xlrbd_spec pool = { .pool = NULL };
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

/* An entry as fake.c's host would have made it, with one thing changed. */
enum change {
	OTHER_BOOT, OTHER_BOOT_WATCHED, OTHER_BOOT_OTHER_ADDRESS,
	OTHER_BOOT_PENDING, OTHER_HOST, OTHER_MACHINE, SAME_BOOT_GONE,
	SAME_BOOT_EXISTS, SAME_BOOT_RECORDED, SAME_BOOT_MAPPED,
	TOMBSTONE, TOMBSTONE_OF_LIVING, TOMBSTONE_OTHER_BOOT,
	TOMBSTONE_OTHER_HOST,
};

static const struct {
	enum change change;
	bool cleaned;
} entries[] = {
	{ OTHER_BOOT, true },
	{ OTHER_BOOT_WATCHED, false },
	{ OTHER_BOOT_OTHER_ADDRESS, false },
	{ OTHER_BOOT_PENDING, true },
	{ OTHER_HOST, false },
	{ OTHER_MACHINE, false },
	{ SAME_BOOT_GONE, true },
	{ SAME_BOOT_EXISTS, false },
	{ SAME_BOOT_RECORDED, false },
	{ SAME_BOOT_MAPPED, false },
	{ TOMBSTONE, true },
	{ TOMBSTONE_OF_LIVING, false },
	{ TOMBSTONE_OTHER_BOOT, true },
	{ TOMBSTONE_OTHER_HOST, false },
};

static void add_entry(enum change change)
{
	struct xlrbd__cookie cookie = {
		.state = change == OTHER_BOOT_PENDING ? XLRBD_PENDING : XLRBD_HELD,
		.mode = XLRBD_MODE_W, .domid = 1, .devid = 51712,
		.uuid = "82de1d03-0000-4000-8000-000000000009",
		.addr = "10.77.0.11:0/42", .domain = "old",
		.host = { "xen1", "11111111111111111111111111111111",
			  "22222222-2222-2222-2222-222222222222" },
	};
	char text[XLRBD__COOKIE_MAX];

	if (change >= TOMBSTONE)
		cookie.state = XLRBD_FENCED;
	if (change <= OTHER_BOOT_PENDING || change == TOMBSTONE_OTHER_BOOT)
		cookie.host.boot_id[0] = '0';
	if (change == OTHER_BOOT_OTHER_ADDRESS)
		strcpy(cookie.addr, "10.77.0.12:0/42");
	if (change == OTHER_HOST || change == TOMBSTONE_OTHER_HOST)
		strcpy(cookie.host.name, "xen2");
	if (change == OTHER_MACHINE)
		cookie.host.machine_id[0] = '0';
	fake.watched = change == OTHER_BOOT_WATCHED;
	fake.vbd_exists = change == SAME_BOOT_EXISTS;
	fake.recorded = change == SAME_BOOT_RECORDED;
	fake.mapped = change == SAME_BOOT_MAPPED;
	fake.domain_exists = change == TOMBSTONE_OF_LIVING;
	/* One that is recorded is not to be undone here, just looked at. */
	fake.vbd_exists |= fake.recorded;
	xlrbd__cookie_format(&cookie, text);
	fake_lock("xlrbd", "xlrbd", false, "client.9", text);
}

START_TEST(entry)
{
	add_entry(entries[_i].change);
	ck_assert_int_eq(xlrbd_gc(ctx, &pool), entries[_i].cleaned);
	ck_assert_uint_eq(fake.n_lockers, !entries[_i].cleaned);
	ck_assert_int_eq(fake.connections, 0);
	ck_assert_int_eq(fake.stores, 0);
}
END_TEST

/* What gc may clean does not stand in the way of an add either. */
START_TEST(entry_in_the_way_of_add)
{
	if (entries[_i].change >= SAME_BOOT_EXISTS)
		return;
	add_entry(entries[_i].change);
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH),
			 entries[_i].cleaned ? 0 : -EBUSY);
	ck_assert_uint_eq(fake_count("held"), 1);
}
END_TEST

START_TEST(foreign_entries_stay)
{
	fake_lock("rbd_lock", "", true, "client.9", "mine");
	fake_lock("xlrbd", "xlrbd", false, "client.9", "xlrbd9,later");
	ck_assert_int_eq(xlrbd_gc(ctx, &pool), 0);
	ck_assert_uint_eq(fake.n_lockers, 2);
}
END_TEST

START_TEST(record_of_a_disk_that_is_gone)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_int_eq(xlrbd_gc(ctx, &pool), 1);
	ck_assert(!fake.mapped && !fake.recorded);
	ck_assert_uint_eq(fake.n_lockers, 0);
}
END_TEST

START_TEST(record_of_a_living_disk)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.vbd_exists = true;
	ck_assert_int_eq(xlrbd_gc(ctx, &pool), 0);
	ck_assert(fake.mapped && fake.recorded);
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

Suite *gc_suite(void)
{
	Suite *suite = suite_create("gc");
	TCase *tcase = tcase_create("gc");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, entry, 0, XLRBD__ARRAY_SIZE(entries));
	tcase_add_loop_test(tcase, entry_in_the_way_of_add, 0,
			    XLRBD__ARRAY_SIZE(entries));
	tcase_add_test(tcase, foreign_entries_stay);
	tcase_add_test(tcase, record_of_a_disk_that_is_gone);
	tcase_add_test(tcase, record_of_a_living_disk);
	suite_add_tcase(suite, tcase);
	return suite;
}
