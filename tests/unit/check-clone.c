// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks that are made at their first attach: each step failing in turn, and
 * what may be deleted.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define PATH "backend/vbd/1/51712"

static struct xlrbd_ctx *ctx;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	strcpy(fake.params, "rbd:web1,clone=gold/debian@v1");
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

static bool did(const char *steps)
{
	return strstr(fake.journal, steps) != NULL;
}

START_TEST(first_start)
{
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_msg(did("connect exists? note-lock note? exists? note clone:gold//debian@v1 note-remove note-unlock open-image krbd-check"),
		      "%s", fake.journal);
	ck_assert_str_eq(fake.mark, "kept gold/debian@v1");
	ck_assert(!fake.noted);
}
END_TEST

START_TEST(second_start)
{
	strcpy(fake.images, "web1,");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert(did("exists? open-image note? krbd-check"));
	ck_assert(!did("clone:"));
}
END_TEST

/* From the first "exists?" to the unlocking of the note. */
#define FIRST_STEP	7
#define N_STEPS		7

START_TEST(each_step_fails)
{
	fake.fail_at = FIRST_STEP + _i;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EIO);
	ck_assert(!fake.mapped && !fake.recorded);
	ck_assert_uint_eq(fake.n_lockers, 0);
	/* Whole, gone, or with a note. */
	ck_assert(fake.noted || fake.mark[0] || !fake.images[0]);
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_str_eq(fake.images, "web1,");
	ck_assert(fake.mark[0] && !fake.noted);
}
END_TEST

/* What is half made is attached by nobody, with clone= or without. */
START_TEST(half_made)
{
	strcpy(fake.images, "web1,");
	fake.noted = true;
	if (_i) {
		ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
		ck_assert(did("remove-made exists? note clone:"));
		ck_assert(!fake.noted);
		return;
	}
	strcpy(fake.params, "rbd:web1");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "is half made"));
	ck_assert_str_eq(fake.images, "web1,");
}
END_TEST

/* By hand, since: not ours to remove, and not known to be whole. */
START_TEST(made_by_hand_meanwhile)
{
	strcpy(fake.images, "web1,");
	fake.noted = fake.made_at_another_time = true;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EEXIST);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "`rados rm` the object xlrbd_making.web1"));
	ck_assert_str_eq(fake.images, "web1,");
	ck_assert(fake.noted);
}
END_TEST

START_TEST(grows_only)
{
	static const uint64_t sizes[] = { 1, 2ULL << 30, 3ULL << 30 };

	strcpy(fake.params, "rbd:web1,clone=debian@v1,size=2G");
	strcpy(fake.images, "web1,");
	fake.size = sizes[_i];
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_uint_eq(fake.size, _i ? sizes[_i] : 2ULL << 30);
	ck_assert_int_eq(did("grow"), !_i);
	/* Only by who holds it for writing. */
	if (!_i)
		ck_assert(did("list-xlrbd still? grow access"));
}
END_TEST

static const struct {
	const char *mark;
	bool watched, goes;
} ends[] = {
	{ "ephemeral debian@v1", false, true },
	{ "ephemeral debian@v1", true, false },
	{ "kept debian@v1", false, false },
	{ "ephemeralx", false, false },
	{ "", false, false },
};

START_TEST(last_detach)
{
	strcpy(fake.params, "rbd:web1,clone=debian@v1,ephemeral");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_str_eq(fake.mark, "ephemeral debian@v1");
	strcpy(fake.mark, ends[_i].mark);
	fake.watched = ends[_i].watched;
	fake.record.spec.ephemeral = true;
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	ck_assert_str_eq(fake.images, ends[_i].goes ? "" : "web1,");
	ck_assert_uint_eq(fake.n_lockers, 0);
	/* While our entry is still there. */
	if (ends[_i].goes)
		ck_assert(did("trash break-held"));
}
END_TEST

START_TEST(not_the_last_detach)
{
	strcpy(fake.params, "rbd:web1,clone=debian@v1,ephemeral");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.record.spec.ephemeral = true;
	fake_lock("xlrbd", "xlrbd", false, "client.9",
		  _i ? "xlrbd1,pending,r%21,h,m,b,1,2,u,3,,," :
		       "xlrbd1,held,w,h,m,b,1,2,u,3,a,,");
	ck_assert_int_eq(xlrbd_vbd_remove(ctx, PATH), 0);
	ck_assert_str_eq(fake.images, "web1,");
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

/* What cannot be deleted now is on record for later. */
START_TEST(deleting_fails)
{
	int i;

	strcpy(fake.params, "rbd:web1,clone=debian@v1,ephemeral");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	fake.record.spec.ephemeral = true;
	/* mark? list list trash come after open-pool, the 9th step. */
	fake.fail_at = fake.n_steps + 9 + _i;
	i = xlrbd_vbd_remove(ctx, PATH);
	ck_assert_msg(i == -EIO, "%s", fake.journal);
	ck_assert(fake.recorded);
	ck_assert_str_eq(fake.images, "web1,");
}
END_TEST

/* A full pool, say: nothing is left of what was made for this attach only. */
START_TEST(made_in_vain)
{
	strcpy(fake.params, _i ? "rbd:web1,clone=debian@v1,ephemeral" :
				 "rbd:web1,clone=debian@v1");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert(did("krbd-check check-full"));
	teardown();
	setup();
	strcpy(fake.params, _i ? "rbd:web1,clone=debian@v1,ephemeral" :
				 "rbd:web1,clone=debian@v1");
	/* check-full */
	fake.fail_at = 17;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EIO);
	ck_assert_msg(did("krbd-check check-full"), "%s", fake.journal);
	ck_assert_str_eq(fake.images, _i ? "" : "web1,");
}
END_TEST

/* A restart after a crash gets a fresh one. */
START_TEST(left_by_a_crash)
{
	strcpy(fake.params, "rbd:web1,clone=debian@v1,ephemeral");
	strcpy(fake.images, "web1,");
	strcpy(fake.mark, "ephemeral debian@v1");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert(did("trash note-lock"));
	ck_assert(did("clone:rbd//debian@v1"));
}
END_TEST

static const struct {
	const char *images, *domain, *vdev;
	int rc;
	const char *found;	/* or a part of the sentence */
} names[] = {
	{ "web1,", "web1", "xvda", 0, "rbd/web1" },
	{ "web1-xvda,", "web1", "xvda", 0, "rbd/web1-xvda" },
	{ "web1-xvdb,", "web1", "xvdb", 0, "rbd/web1-xvdb" },
	{ "web1,", "web1--incoming", "xvda", 0, "rbd/web1" },
	{ "web1,", "web1", "sda", 0, "rbd/web1" },
	{ "web1,", "web1", "hda", 0, "rbd/web1" },
	{ "web1,web1-xvda,", "web1", "xvda", -EEXIST, "there are both" },
	{ "", "we b", "xvda", -EINVAL, "cannot be one; name the image" },
	{ "", "", "xvda", -EINVAL, "the domain has none either" },
	{ "", "web1", "", -EINVAL, "the domain has none either" },
	{ "", NULL, "xvda", -EINVAL, "that of domain 1 cannot be read here" },
};

START_TEST(named_after_the_domain)
{
	strcpy(fake.params, "rbd:");
	strcpy(fake.images, names[_i].images);
	/* As xenstore's reader makes one up. */
	strcpy(fake.domain, names[_i].domain ? names[_i].domain : "dom1");
	fake.nameless = !names[_i].domain;
	strcpy(fake.vdev, names[_i].vdev);
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), names[_i].rc);
	if (names[_i].rc)
		ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
					     names[_i].found));
	else
		ck_assert_str_eq(fake.record.image.name, names[_i].found + 4);
}
END_TEST

Suite *clone_suite(void)
{
	Suite *suite = suite_create("clone");
	TCase *tcase = tcase_create("clone");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, first_start);
	tcase_add_test(tcase, second_start);
	tcase_add_loop_test(tcase, each_step_fails, 0, N_STEPS);
	tcase_add_loop_test(tcase, half_made, 0, 2);
	tcase_add_test(tcase, made_by_hand_meanwhile);
	tcase_add_loop_test(tcase, grows_only, 0, 3);
	tcase_add_loop_test(tcase, last_detach, 0,
			    XLRBD__ARRAY_SIZE(ends));
	tcase_add_loop_test(tcase, not_the_last_detach, 0, 2);
	tcase_add_loop_test(tcase, deleting_fails, 0, 4);
	tcase_add_loop_test(tcase, made_in_vain, 0, 2);
	tcase_add_test(tcase, left_by_a_crash);
	tcase_add_loop_test(tcase, named_after_the_domain, 0,
			    XLRBD__ARRAY_SIZE(names));
	suite_add_tcase(suite, tcase);
	return suite;
}
