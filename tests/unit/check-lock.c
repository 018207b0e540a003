// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who may hold an image: the table, the waivers, and the protocol against
 * others who move at the same time.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define NOW 1700000000
#define UUID_1 "82de1d03-0000-4000-8000-000000000001"
#define UUID_2 "82de1d03-0000-4000-8000-000000000002"

static struct xlrbd_ctx *ctx;
static struct xlrbd__image image;
static struct xlrbd__cookie me, other;
static struct xlrbd__lock lock;
static struct xlrbd__deadline deadline;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	memset(&image, 0, sizeof(image));
	strcpy(image.id, "1234");
	image.features = 0x3d;
	memset(&me, 0, sizeof(me));
	me.mode = XLRBD_MODE_W;
	me.domid = 1;
	me.devid = 51712;
	me.time = NOW;
	strcpy(me.host.name, "xen1");
	strcpy(me.host.machine_id, "m1");
	strcpy(me.host.boot_id, "b1");
	strcpy(me.uuid, UUID_1);
	strcpy(me.domain, "web1");
	other = me;
	strcpy(other.host.name, "xen2");
	strcpy(other.host.machine_id, "m2");
	strcpy(other.host.boot_id, "b2");
	strcpy(other.uuid, UUID_2);
	strcpy(other.domain, "web2");
	other.state = XLRBD_HELD;
	xlrbd__deadline_set(&deadline, 300);
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

static void add_other_under(const char *name)
{
	char cookie[XLRBD__COOKIE_MAX];

	xlrbd__cookie_format(&other, cookie);
	fake_lock(name, "xlrbd", false, "client.200", cookie);
}

static int attach(void)
{
	int rc;

	xlrbd__lock_prepare(&lock, NULL, &image, &me);
	rc = xlrbd__lock_register(ctx, NULL, &image, &me, "rbd/web1",
				  &deadline, &lock);
	if (rc < 0)
		ck_assert_int_eq(xlrbd__lock_withdraw(ctx, NULL, &image, &lock,
						      "rbd/web1"), 0);
	return rc;
}

static int promote(void)
{
	me.state = XLRBD_HELD;
	strcpy(me.addr, "10.77.0.11:0/42");
	xlrbd__lock_prepare_held(&lock, &me);
	return xlrbd__lock_promote(ctx, NULL, &image, "rbd/web1", &lock);
}

/* The table of the manual, in the order r, w, r!, w!. */
static const bool table[4][4] = {
	{ true, false, true, false },
	{ false, false, true, false },
	{ true, true, true, true },
	{ false, false, true, true },
};

START_TEST(table_cell)
{
	me.mode = XLRBD_MODE_R + _i / 4;
	other.mode = XLRBD_MODE_R + _i % 4;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), table[_i / 4][_i % 4] ? 0 : -EBUSY);
	ck_assert(xlrbd__lock_compatible(me.mode, other.mode) ==
		  xlrbd__lock_compatible(other.mode, me.mode));
	ck_assert_uint_eq(fake.n_lockers, table[_i / 4][_i % 4] ? 2 : 1);
}
END_TEST

START_TEST(refusal_names_the_holder)
{
	other.time = 0;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "rbd/web1: held for writing by domain web2 (" UUID_2 ") on host xen2 since 19"));
}
END_TEST

START_TEST(holder_under_the_other_name)
{
	add_other_under("rbd_lock");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(same_vbd_again)
{
	other = me;
	other.state = XLRBD_HELD;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), 0);
}
END_TEST

/* Domain 7 is the stub of domain 1, in either order; on one host only. */
START_TEST(stub_domain)
{
	other = me;
	other.state = XLRBD_HELD;
	strcpy(other.uuid, UUID_2);
	other.domid = 7;
	if (_i == 0)
		other.target = me.domid;
	if (_i == 1)
		me.target = other.domid;
	if (_i == 2)
		other.target = 2;
	if (_i == 3) {
		other.target = me.domid;
		strcpy(other.host.boot_id, "b0");
	}
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), _i < 2 ? 0 : -EBUSY);
}
END_TEST

/* The same numbers mean nothing on another host or in another boot. */
START_TEST(other_boot_is_not_the_same_vbd)
{
	other = me;
	other.state = XLRBD_HELD;
	strcpy(other.host.boot_id, "b0");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(snapshot_conflicts_with_nobody)
{
	me.mode = XLRBD_MODE_R;
	strcpy(me.snap, "v1");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), 0);
}
END_TEST

START_TEST(incoming_joins_its_own_uuid)
{
	strcpy(other.uuid, UUID_1);
	strcpy(me.domain, "web1--incoming");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), 0);
}
END_TEST

START_TEST(incoming_of_another_uuid_is_refused)
{
	strcpy(me.domain, "web1--incoming");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(incoming_without_uuid_joins_nobody)
{
	strcpy(me.uuid, XLRBD__NO_UUID);
	strcpy(other.uuid, XLRBD__NO_UUID);
	strcpy(me.domain, "web1--incoming");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(same_uuid_alone_is_refused)
{
	strcpy(other.uuid, UUID_1);
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(only_the_suffix_is_incoming)
{
	strcpy(other.uuid, UUID_1);
	strcpy(me.domain, _i ? "--incoming" : "web--incoming1");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

/* "xlrbd1,pending,w,xen1" sorts before "xlrbd1,pending,w,xen2". */
START_TEST(higher_pending_withdraws)
{
	other.state = XLRBD_PENDING;
	strcpy(other.host.name, "xen0");
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "being attached for writing by domain web2"));
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

static void other_withdraws_later(void)
{
	if (fake.n_lists == 5)
		fake_break("client.200", "pending");
}

START_TEST(lower_pending_waits)
{
	other.state = XLRBD_PENDING;
	add_other_under("xlrbd");
	fake.on_list = other_withdraws_later;
	ck_assert_int_eq(attach(), 0);
	ck_assert_int_ge(fake.n_lists, 5);
}
END_TEST

static void other_promotes_later(void)
{
	if (fake.n_lists != 5)
		return;
	fake_break("client.200", "pending");
	other.state = XLRBD_HELD;
	add_other_under("xlrbd");
}

START_TEST(lower_pending_yields_to_held)
{
	other.state = XLRBD_PENDING;
	add_other_under("xlrbd");
	fake.on_list = other_promotes_later;
	ck_assert_int_eq(attach(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "held for writing"));
}
END_TEST

START_TEST(lower_pending_waits_to_the_deadline_only)
{
	other.state = XLRBD_PENDING;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
	ck_assert_int_eq(xlrbd__deadline_left(&deadline), 0);
	ck_assert_uint_eq(fake_count("pending"), 1);
}
END_TEST

START_TEST(stale_pending_is_broken)
{
	other.state = XLRBD_PENDING;
	other.time = NOW - 61;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), 0);
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

static void other_turns_out_alive(void)
{
	/* Its held entry is there by the time the breaker looks again. */
	if (fake.n_lists == 3) {
		other.state = XLRBD_HELD;
		add_other_under("xlrbd");
	}
}

START_TEST(breaker_looks_again)
{
	other.state = XLRBD_PENDING;
	other.time = NOW - 61;
	add_other_under("xlrbd");
	fake.on_list = other_turns_out_alive;
	ck_assert_int_eq(attach(), -EBUSY);
}
END_TEST

START_TEST(stale_held_is_not_broken)
{
	other.time = 0;
	add_other_under("xlrbd");
	ck_assert_int_eq(attach(), -EBUSY);
	ck_assert_uint_eq(fake_count("held"), 1);
}
END_TEST

START_TEST(promotion)
{
	ck_assert_int_eq(attach(), 0);
	ck_assert_int_eq(promote(), 0);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake_count("pending"), 0);
	ck_assert_ptr_nonnull(strstr(fake.lockers[0].cookie,
				     ",10.77.0.11:0/42,"));
}
END_TEST

START_TEST(promotion_after_being_broken)
{
	ck_assert_int_eq(attach(), 0);
	fake_break("client.100", "pending");
	ck_assert_int_eq(promote(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "taken for dead"));
	ck_assert_int_eq(xlrbd__lock_withdraw(ctx, NULL, &image, &lock,
					      "rbd/web1"), 0);
	ck_assert_uint_eq(fake.n_lockers, 0);
}
END_TEST

/* Locks that are not ours. */
static const struct {
	const char *name, *tag, *cookie;
	bool exclusive;
	uint64_t features;
	bool granted;
} foreign[] = {
	{ "rbd_lock", "", "mine", true, 1, false },
	{ "rbd_lock", "sometag", "mine", false, 1, false },
	{ "rbd_lock", "", "mine", true, 0x3d, false },
	{ "rbd_lock", "sometag", "mine", false, 0x3d, false },
	{ "rbd_lock", "xlrbd", "not a cookie of ours", false, 1, false },
	{ "rbd_lock", "xlrbd", "xlrbd9,held,later,version", false, 1, false },
	{ "xlrbd", "xlrbd", "junk", false, 0x3d, false },
	/* krbd's and librbd's own, which moves by itself. */
	{ "rbd_lock", "internal", "auto 1", true, 0x3d, true },
	{ "other", "x", "mine", true, 0x3d, true },
};

START_TEST(foreign_lock)
{
	image.features = foreign[_i].features;
	fake_lock(foreign[_i].name, foreign[_i].tag, foreign[_i].exclusive,
		  "client.300", foreign[_i].cookie);
	ck_assert_int_eq(attach(), foreign[_i].granted ? 0 : -EBUSY);
	if (foreign[_i].granted)
		return;
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "rbd/web1: locked by somebody else: "));
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), foreign[_i].cookie));
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "client.300"));
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

START_TEST(permission_denied)
{
	fake.fail_at = 0;
	fake.fail_rc = -EPERM;
	ck_assert_int_eq(attach(), -EPERM);
	ck_assert_str_eq(xlrbd_error(ctx),
			 "lock rbd/web1: Operation not permitted");
}
END_TEST

Suite *lock_suite(void)
{
	Suite *suite = suite_create("lock");
	TCase *tcase = tcase_create("lock");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, table_cell, 0, 16);
	tcase_add_test(tcase, refusal_names_the_holder);
	tcase_add_test(tcase, holder_under_the_other_name);
	tcase_add_test(tcase, same_vbd_again);
	tcase_add_loop_test(tcase, stub_domain, 0, 5);
	tcase_add_test(tcase, other_boot_is_not_the_same_vbd);
	tcase_add_test(tcase, snapshot_conflicts_with_nobody);
	tcase_add_test(tcase, incoming_joins_its_own_uuid);
	tcase_add_test(tcase, incoming_of_another_uuid_is_refused);
	tcase_add_test(tcase, incoming_without_uuid_joins_nobody);
	tcase_add_test(tcase, same_uuid_alone_is_refused);
	tcase_add_loop_test(tcase, only_the_suffix_is_incoming, 0, 2);
	tcase_add_test(tcase, higher_pending_withdraws);
	tcase_add_test(tcase, lower_pending_waits);
	tcase_add_test(tcase, lower_pending_yields_to_held);
	tcase_add_test(tcase, lower_pending_waits_to_the_deadline_only);
	tcase_add_test(tcase, stale_pending_is_broken);
	tcase_add_test(tcase, breaker_looks_again);
	tcase_add_test(tcase, stale_held_is_not_broken);
	tcase_add_test(tcase, promotion);
	tcase_add_test(tcase, promotion_after_being_broken);
	tcase_add_loop_test(tcase, foreign_lock, 0,
			    XLRBD__ARRAY_SIZE(foreign));
	tcase_add_test(tcase, permission_denied);
	suite_add_tcase(suite, tcase);
	return suite;
}
