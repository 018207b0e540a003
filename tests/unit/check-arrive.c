// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A domain that arrives, or does not: what add, the receiver's end, the next
 * receiver and gc make of a disk that was prepared.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "arriving.h"
#include "unit.h"

START_TEST(add_publishes)
{
	arriving_prepare();
	/* Whoever receives it may be dead. */
	if (_i)
		arriving_die();
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert_str_eq(fake.journal,
			 "parse-path store-open lock-vbd read-vbd read-record publish");
	ck_assert(fake.mapped && fake.recorded && fake.published_by_us);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 1);
	expect_nothing_open();
}
END_TEST

/* libxl has given it up: whoever receives the domain undoes it. */
START_TEST(add_cannot_publish)
{
	arriving_prepare();
	fake.publish_fails = true;
	ck_assert_int_eq(arriving_add(), -ECANCELED);
	expect_untouched();
	expect_prepared();
	fake.vbd_exists = false;
	ck_assert_int_eq(arriving_end(), 0);
	expect_nothing_left();
}
END_TEST

enum change {
	OTHER_UUID, OTHER_TARGET, OTHER_ACCESS, UNMAPPED, OTHER_DEVICE,
	NO_ENTRY, ONLY_PENDING, NOT_PREPARED, N_CHANGES,
};

static void make(enum change change)
{
	struct xlrbd__record *record = &fake.record;

	switch (change) {
	case OTHER_UUID:
		strcpy(fake.uuid, UUID_9);
		break;
	case OTHER_TARGET:
		strcpy(fake.params, TARGET ",mode=w");
		break;
	case OTHER_ACCESS:
		fake.writable = false;
		break;
	case UNMAPPED:
		fake.mapped = false;
		break;
	case OTHER_DEVICE:
		strcpy(record->device.client_addr, "10.77.0.11:0/41");
		break;
	case NO_ENTRY:
		record->lock.held[0] = '\0';
		fake.n_lockers = 0;
		break;
	case ONLY_PENDING:
		strcpy(record->lock.pending, "xlrbd1,pending,w");
		break;
	case NOT_PREPARED:
		fake.awaits[0] = '\0';
		break;
	case N_CHANGES:
		break;
	}
}

/* What does not fit is undone, and attached as if it had never been. */
START_TEST(add_of_something_else)
{
	arriving_prepare();
	make(_i);
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert_msg(did("read-vbd read-record read-record lock-image list-records unmap connect open-pool "),
		      "%s", fake.journal);
	ck_assert(did(" break-held ") == (_i != NO_ENTRY));
	ck_assert(did(" forget connect open-image ") && did(" add-held "));
	ck_assert(fake.mapped && fake.recorded && fake.published_by_us);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert_str_eq(fake.awaits, "");
	expect_nothing_open();
}
END_TEST

START_TEST(end_undoes)
{
	arriving_prepare();
	ck_assert_int_eq(arriving_end(), 0);
	expect_nothing_left();
	ck_assert(!fake.arrival_locked);
	ck_assert_int_eq(xlrbd_arrival_end(NULL), 0);
}
END_TEST

START_TEST(end_leaves_what_was_taken)
{
	arriving_prepare();
	ck_assert_int_eq(arriving_add(), 0);
	ck_assert_int_eq(arriving_end(), 0);
	expect_untouched();
	ck_assert(fake.mapped && fake.recorded);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert(!fake.arrival_locked);
	/* And remove knows it. */
	ck_assert_int_eq(xlrbd_vbd_remove(arriving.ctx, PATH), 0);
	fake.published_by_us = false;
	expect_nothing_left();
}
END_TEST

/* What end cannot undo stays on record, for gc. */
START_TEST(end_fails)
{
	arriving_prepare();
	fake.fail_at = _i;
	ck_assert_int_eq(arriving_end(), -EIO);
	ck_assert_str_ne(xlrbd_error(arriving.ctx), "");
	ck_assert(fake.recorded && !fake.arrival_locked);
	ck_assert(!fake.mapped || fake.n_lockers);
	expect_nothing_open();
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), 1);
	expect_nothing_left();
}
END_TEST

/* "list-records", and which it is, before all that remove does. */
#define END_LOOKS	2
#define END_STEPS	(END_LOOKS + 12)

static void expect_arrives_twice(void)
{
	struct xlrbd_arrival *second;

	ck_assert_int_eq(xlrbd_arrival_begin(arriving.ctx, "web1", UUID_1, 2,
					     &second), -EALREADY);
	ck_assert_str_eq(xlrbd_error(arriving.ctx),
			 "domain web1 (" UUID_1 ") is arriving here already");
}

START_TEST(begin_twice)
{
	expect_arrives_twice();
	arriving_prepare();
	expect_arrives_twice();
	expect_untouched();
	expect_prepared();
	ck_assert_int_eq(arriving_end(), 0);
	ck_assert_int_eq(arriving_begin(), 0);
	ck_assert(fake.arrival_locked);
}
END_TEST

START_TEST(begin_fails)
{
	arriving_prepare();
	arriving_die();
	fake.fail_at = _i;
	ck_assert_int_eq(arriving_begin(), -EIO);
	ck_assert_str_ne(xlrbd_error(arriving.ctx), "");
	ck_assert(fake.recorded && !fake.arrival_locked);
	expect_nothing_open();
	fake.fail_at = -1;
	ck_assert_int_eq(arriving_begin(), 0);
	expect_nothing_left();
}
END_TEST

/* Another domain's, which arrives as well; one that has arrived; no arrival. */
START_TEST(begin_leaves_others_alone)
{
	arriving_prepare();
	if (_i == 0)
		strcpy(fake.record.uuid, UUID_9);
	if (_i == 1)
		ck_assert_int_eq(arriving_add(), 0);
	if (_i == 2)
		make(NOT_PREPARED);
	arriving_die();
	ck_assert_int_eq(arriving_begin(), 0);
	expect_untouched();
	ck_assert(fake.mapped && fake.recorded);
	ck_assert_uint_eq(fake_count("held"), 1);
}
END_TEST

START_TEST(gc_of_what_somebody_awaits)
{
	arriving_prepare();
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), 0);
	expect_untouched();
	expect_prepared();
	/* Nor waited for whoever prepares it. */
	ck_assert(!did("lock-vbd"));
	ck_assert_str_eq(xlrbd_error(arriving.ctx), "");
	ck_assert(fake.arrival_locked);
	/* Then it is dead. */
	arriving_die();
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), 1);
	expect_nothing_left();
	ck_assert(!fake.arrival_locked);
}
END_TEST

/* What was not meant for an arrival is nobody's, whoever lives. */
START_TEST(gc_of_what_was_not_prepared)
{
	arriving_prepare();
	make(NOT_PREPARED);
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), 1);
	expect_nothing_left();
}
END_TEST

static void receive_again(const char *name)
{
	if (strcmp(name, "lock-vbd") != 0)
		return;
	/* It has begun, undone what was there, and prepared it anew. */
	fake.arrival_locked = true;
	fake.on_step = NULL;
}

/* The next receiver comes between gc's look and its hands. */
START_TEST(gc_while_somebody_begins)
{
	arriving_prepare();
	arriving_die();
	fake.on_step = receive_again;
	ck_assert_int_eq(xlrbd_gc(arriving.ctx, &arriving.pool), 0);
	ck_assert_ptr_null(fake.on_step);
	expect_untouched();
	expect_prepared();
}
END_TEST

Suite *arrive_suite(void)
{
	Suite *suite = suite_create("arrive");
	TCase *tcase = tcase_create("arrive");

	tcase_add_checked_fixture(tcase, arriving_setup, arriving_teardown);
	tcase_add_loop_test(tcase, add_publishes, 0, 2);
	tcase_add_test(tcase, add_cannot_publish);
	tcase_add_loop_test(tcase, add_of_something_else, 0, N_CHANGES);
	tcase_add_test(tcase, end_undoes);
	tcase_add_test(tcase, end_leaves_what_was_taken);
	tcase_add_loop_test(tcase, end_fails, END_LOOKS, END_STEPS);
	tcase_add_test(tcase, begin_twice);
	tcase_add_loop_test(tcase, begin_fails, 0, 2);
	tcase_add_loop_test(tcase, begin_leaves_others_alone, 0, 3);
	tcase_add_test(tcase, gc_of_what_somebody_awaits);
	tcase_add_test(tcase, gc_of_what_was_not_prepared);
	tcase_add_test(tcase, gc_while_somebody_begins);
	suite_add_tcase(suite, tcase);
	return suite;
}
