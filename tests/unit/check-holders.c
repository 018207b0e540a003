// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who holds what, as it is told to people, and which entries they may withdraw.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define UUID_9 "82de1d03-0000-4000-8000-000000000009"
#define ADDR "10.77.0.12:0/99"

static const struct xlrbd_spec everywhere = { .pool = NULL };
static const struct xlrbd_spec one = { .image = (char *)"web1" };
static struct xlrbd_ctx *ctx;
static struct xlrbd__cookie cookie;

static void add_entry(const char *client)
{
	char text[XLRBD__COOKIE_MAX];

	xlrbd__cookie_format(&cookie, text);
	fake_lock("xlrbd", "xlrbd", false, client, text);
}

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	memset(&cookie, 0, sizeof(cookie));
	cookie.state = XLRBD_HELD;
	cookie.mode = XLRBD_MODE_W;
	cookie.domid = 5;
	cookie.devid = 51728;
	cookie.time = 1700000000;
	strcpy(cookie.uuid, UUID_9);
	strcpy(cookie.domain, "web9");
	strcpy(cookie.addr, ADDR);
	strcpy(cookie.host.name, "xen2");
	strcpy(cookie.host.machine_id, "33333333333333333333333333333333");
	strcpy(cookie.host.boot_id, "44444444-4444-4444-4444-444444444444");
}

static void teardown(void)
{
	ck_assert_int_eq(fake.connections, 0);
	xlrbd_free(ctx);
}

/* What was told, a line for each: "IMAGE DOMAIN STATE LIFE" or "IMAGE: ..." */
static char told[1024];
static int stop_after;

static int note(void *data, const struct xlrbd_holder *h)
{
	size_t used = strlen(told);

	ck_assert_ptr_eq(data, told);
	if (h->trouble) {
		ck_assert(!h->domain && !h->host && !h->entry && !h->address);
		snprintf(told + used, sizeof(told) - used, "%s: %s\n",
			 h->image, h->trouble);
	} else {
		snprintf(told + used, sizeof(told) - used, "%s %s %s %s\n",
			 h->image, h->domain, xlrbd_state_name(h->state),
			 xlrbd_life_name(h->life));
	}
	return --stop_after ? 0 : 7;
}

static int tell(const struct xlrbd_spec *where)
{
	told[0] = '\0';
	return xlrbd_holders(ctx, where, note, told);
}

enum watch { NOBODY, THIS, OTHER };

static const struct {
	enum xlrbd_state state;
	enum xlrbd_mode mode;
	enum watch watch;
	const char *told;
	int unlock_rc;
	const char *refusal;
} entries[] = {
	{ XLRBD_PENDING, XLRBD_MODE_W, NOBODY, "pending unknown", 0, NULL },
	{ XLRBD_PENDING, XLRBD_MODE_W, THIS, "pending unknown", 0, NULL },
	{ XLRBD_HELD, XLRBD_MODE_W, THIS, "held alive", -EBUSY,
	  "not unlocked: it is alive" },
	{ XLRBD_HELD, XLRBD_MODE_W, NOBODY, "held silent", -EBUSY,
	  "`xlrbd takeover` fences it" },
	{ XLRBD_HELD, XLRBD_MODE_W, OTHER, "held silent", -EBUSY,
	  "`xlrbd takeover` fences it" },
	{ XLRBD_HELD, XLRBD_MODE_W_SHARED, NOBODY, "held silent", -EBUSY,
	  "`xlrbd takeover` fences it" },
	{ XLRBD_HELD, XLRBD_MODE_R, THIS, "held alive", -EBUSY,
	  "not unlocked: it is alive" },
	{ XLRBD_HELD, XLRBD_MODE_R, NOBODY, "held unknown", 0, NULL },
	{ XLRBD_HELD, XLRBD_MODE_R, OTHER, "held unknown", 0, NULL },
	{ XLRBD_HELD, XLRBD_MODE_R_SHARED, NOBODY, "held unknown", 0, NULL },
	{ XLRBD_FENCED, XLRBD_MODE_W, NOBODY, "fenced unknown", 0, NULL },
	{ XLRBD_FENCED, XLRBD_MODE_W, THIS, "fenced unknown", 0, NULL },
};

static void add_nth(int i)
{
	static const char *const addrs[] = {
		[NOBODY] = NULL, [THIS] = ADDR, [OTHER] = "10.77.0.12:0/9",
	};

	cookie.state = entries[i].state;
	cookie.mode = entries[i].mode;
	add_entry("client.9");
	fake.watched_addr = addrs[entries[i].watch];
}

START_TEST(life)
{
	char expected[64];

	add_nth(_i);
	snprintf(expected, sizeof(expected), "rbd/web1 web9 %s\n",
		 entries[_i].told);
	ck_assert_int_eq(tell(&everywhere), 0);
	ck_assert_str_eq(told, expected);
	ck_assert_int_eq(tell(&one), 0);
	ck_assert_str_eq(told, expected);
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

START_TEST(unlock)
{
	add_nth(_i);
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"),
			 entries[_i].unlock_rc);
	ck_assert_uint_eq(fake.n_lockers, entries[_i].refusal != NULL);
	if (!entries[_i].refusal)
		return;
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "rbd/web1: held for "));
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "domain web9 "));
	ck_assert_msg(strstr(xlrbd_error(ctx), entries[_i].refusal) != NULL,
		      "%s", xlrbd_error(ctx));
}
END_TEST

static int check_members(void *data, const struct xlrbd_holder *h)
{
	ck_assert_str_eq(h->image, "rbd/web1");
	ck_assert_str_eq(h->snap, "v1");
	ck_assert_int_eq(h->mode, XLRBD_MODE_R);
	/* Who arrives by migration is the same domain. */
	ck_assert_str_eq(h->domain, "web9");
	ck_assert_str_eq(h->uuid, UUID_9);
	ck_assert_uint_eq(h->domid, 5);
	ck_assert_uint_eq(h->devid, 51728);
	ck_assert_str_eq(h->host, "xen2");
	ck_assert_str_eq(h->address, ADDR);
	ck_assert_int_eq(h->since, 1700000000);
	ck_assert_str_eq(h->entry, "client.9");
	ck_assert_ptr_null(h->trouble);
	++*(int *)data;
	return 0;
}

START_TEST(members)
{
	int n = 0;

	cookie.mode = XLRBD_MODE_R;
	strcpy(cookie.snap, "v1");
	strcpy(cookie.domain, "web9--incoming");
	add_entry("client.9");
	/* Others' are no holders of ours. */
	fake_lock("rbd_lock", "", true, "client.1", "mine");
	fake_lock("xlrbd", "xlrbd", false, "client.2", "xlrbd9,later");
	ck_assert_int_eq(xlrbd_holders(ctx, &everywhere, check_members, &n),
			 0);
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(fn_ends_it)
{
	add_entry("client.8");
	add_entry("client.9");
	stop_after = 1;
	ck_assert_int_eq(tell(&everywhere), 7);
	ck_assert_str_eq(told, "rbd/web1 web9 held silent\n");
}
END_TEST

/* What is told when a step fails; NULL: the whole call fails. */
static const struct {
	const char *step;
	const char *told;
} troubles[] = {
	{ "connect", NULL },
	{ "list-pools", NULL },
	{ "list-images", "rbd: list-images failed\n" },
	{ "open-pool", "rbd/web1: open-pool failed\n" },
	{ "list-rbd_lock",
	  "rbd/web1: list the lock entries of rbd/web1: Input/output error\n" },
	{ "list-xlrbd",
	  "rbd/web1: list the lock entries of rbd/web1: Input/output error\n" },
	/* The entry is known, whether it lives is not. */
	{ "watchers",
	  "rbd/web1 web9 held unknown\nrbd/web1: watchers failed\n" },
};

START_TEST(trouble)
{
	int rc;

	add_entry("client.9");
	fake.fail_at = _i;
	rc = tell(&everywhere);
	ck_assert_ptr_nonnull(strstr(fake.journal, troubles[_i].step));
	ck_assert_int_eq(rc, troubles[_i].told ? 0 : -EIO);
	ck_assert_str_eq(told, troubles[_i].told ? troubles[_i].told : "");
	ck_assert_int_eq(xlrbd_error(ctx)[0] != '\0', rc < 0);
}
END_TEST

/* Deleted between one request and the next: nobody holds it. */
START_TEST(deleted_meanwhile)
{
	add_entry("client.9");
	fake.fail_at = 3 + _i;
	fake.fail_rc = -ENOENT;
	ck_assert_int_eq(tell(&everywhere), 0);
	ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(no_such_image)
{
	fake.fail_at = 1;
	fake.fail_rc = -ENOENT;
	ck_assert_int_eq(tell(&one), -ENOENT);
	ck_assert_str_eq(told, "");
	fake.n_steps = 0;
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"), -ENOENT);
	ck_assert_str_eq(xlrbd_error(ctx), "open-image failed");
}
END_TEST

START_TEST(unlock_no_such_entry)
{
	static const char *const names[] = { "client.99", "client", "", "web9" };

	cookie.state = XLRBD_PENDING;
	add_entry("client.9");
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, names[_i]), -ENOENT);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "rbd/web1: no entry "));
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "`xlrbd locks rbd/web1`"));
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

START_TEST(unlock_needs_an_image)
{
	ck_assert_int_eq(xlrbd_unlock(ctx, &everywhere, "client.9"), -EINVAL);
	ck_assert_str_eq(fake.journal, "");
}
END_TEST

/* A helper that was killed between held and the end of pending left both. */
START_TEST(unlock_both_of_a_helper)
{
	cookie.state = XLRBD_PENDING;
	add_entry("client.9");
	add_entry("client.8");
	cookie.state = XLRBD_HELD;
	cookie.mode = _i ? XLRBD_MODE_W : XLRBD_MODE_R;
	add_entry("client.9");
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"), _i ? -EBUSY : 0);
	/* Refused is refused: all are looked at first. */
	ck_assert_uint_eq(fake.n_lockers, _i ? 3 : 1);
}
END_TEST

/* Who takes over holds the image itself, by the same client. */
START_TEST(unlock_tombstone_of_a_taker)
{
	cookie.state = XLRBD_FENCED;
	add_entry("client.9");
	cookie.state = XLRBD_HELD;
	cookie.mode = _i ? XLRBD_MODE_W : XLRBD_MODE_R;
	add_entry("client.9");
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"), 0);
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert_int_eq(tell(&one), 0);
	ck_assert_ptr_nonnull(strstr(told, " held "));
}
END_TEST

/* connect open-image open-pool list list watchers open-pool break */
START_TEST(unlock_each_step_fails)
{
	cookie.state = XLRBD_HELD;
	cookie.mode = XLRBD_MODE_R;
	add_entry("client.9");
	fake.fail_at = _i;
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"), -EIO);
	ck_assert_str_ne(xlrbd_error(ctx), "");
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert_int_eq(fake.connections, 0);
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_unlock(ctx, &one, "client.9"), 0);
	ck_assert_uint_eq(fake.n_lockers, 0);
}
END_TEST

Suite *holders_suite(void)
{
	Suite *suite = suite_create("holders");
	TCase *tcase = tcase_create("holders");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, life, 0, XLRBD__ARRAY_SIZE(entries));
	tcase_add_loop_test(tcase, unlock, 0, XLRBD__ARRAY_SIZE(entries));
	tcase_add_test(tcase, members);
	tcase_add_test(tcase, fn_ends_it);
	tcase_add_loop_test(tcase, trouble, 0, XLRBD__ARRAY_SIZE(troubles));
	tcase_add_loop_test(tcase, deleted_meanwhile, 0, 4);
	tcase_add_test(tcase, no_such_image);
	tcase_add_loop_test(tcase, unlock_no_such_entry, 0, 4);
	tcase_add_test(tcase, unlock_needs_an_image);
	tcase_add_loop_test(tcase, unlock_both_of_a_helper, 0, 2);
	tcase_add_loop_test(tcase, unlock_tombstone_of_a_taker, 0, 2);
	tcase_add_loop_test(tcase, unlock_each_step_fails, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite;
}
