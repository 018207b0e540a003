// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Takeover: its order, each step failing in turn, and who may not be evicted.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define PATH "backend/vbd/1/51712"
#define UUID_9 "82de1d03-0000-4000-8000-000000000009"

static struct xlrbd_ctx *ctx;
static struct xlrbd__cookie foe;

static void add_foe(const char *client)
{
	char text[XLRBD__COOKIE_MAX];

	xlrbd__cookie_format(&foe, text);
	fake_lock("xlrbd", "xlrbd", false, client, text);
}

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	strcpy(fake.params, "rbd:web1,takeover=fence");
	memset(&foe, 0, sizeof(foe));
	foe.state = XLRBD_HELD;
	foe.mode = XLRBD_MODE_W;
	foe.domid = 5;
	foe.devid = 51712;
	strcpy(foe.uuid, UUID_9);
	strcpy(foe.domain, "web9");
	strcpy(foe.addr, "10.77.0.12:0/99");
	strcpy(foe.host.name, "xen2");
	strcpy(foe.host.machine_id, "33333333333333333333333333333333");
	strcpy(foe.host.boot_id, "44444444-4444-4444-4444-444444444444");
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

/* From the second registration on, when nothing of this host's was found. */
static const char *const takeover_steps[] = {
	"add-pending", "list-rbd_lock", "list-xlrbd",	/* refused */
	"list-rbd_lock", "list-xlrbd",			/* all have decided */
	"list-rbd_lock", "list-xlrbd", "watchers",	/* by whom; dead? */
	"list-pools", "list-images", "open-pool", "list-rbd_lock",
	"list-xlrbd", "open-pool", "watchers",		/* its other disks */
	"fence", "add-fenced", "break-held",
	"list-rbd_lock", "list-xlrbd",			/* and now? */
	"access",
};

#define N_STEPS ((int)XLRBD__ARRAY_SIZE(takeover_steps))

/* Steps of add before the second registration. */
static int first_step(void)
{
	int n = 0;
	const char *p, *found = NULL;

	for (p = fake.journal; (p = strstr(p, "add-pending")); p++)
		found = p;
	for (p = fake.journal; p < found; p++)
		n += *p == ' ';
	return n;
}

START_TEST(order)
{
	char expected[1024] = "";
	int i;

	add_foe("client.9");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	for (i = 0; i < N_STEPS; i++)
		sprintf(expected + strlen(expected), "%s%s", i ? " " : "",
			takeover_steps[i]);
	ck_assert_msg(strstr(fake.journal, expected) != NULL, "%s",
		      fake.journal);
	ck_assert_uint_eq(fake_count("fenced"), 1);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 2);
	ck_assert_str_eq(xlrbd_error(ctx), "");
}
END_TEST

/* Without the option it is the same image, and another end. */
START_TEST(only_if_told)
{
	strcpy(fake.params, "rbd:web1");
	add_foe("client.9");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_null(strstr(fake.journal, "fence"));
}
END_TEST

/* Whatever fails: ours goes, and the holder has an entry or a tombstone. */
START_TEST(each_step_fails)
{
	int first;

	add_foe("client.9");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	first = first_step();
	teardown();
	setup();
	add_foe("client.9");
	fake.fail_at = first + _i;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EIO);
	ck_assert_uint_eq(fake_count("pending"), 0);
	ck_assert_uint_ge(fake.n_lockers, 1);
	ck_assert(fake_count("held") == 1 ||
		  strstr(fake.journal, "fence add-fenced break-held"));
	ck_assert(!fake.mapped && !fake.recorded);
	ck_assert_int_eq(fake.connections, 0);
	/* And once more, without a fault. */
	fake.fail_at = -1;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_uint_eq(fake_count("held"), 1);
}
END_TEST

START_TEST(alive)
{
	fake.watched = true;
	add_foe("client.9");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "held for writing by domain web9 (" UUID_9 ") on host xen2"));
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "not taken over: that host is alive, its kernel's client 10.77.0.12:0/99 watches rbd/web1"));
	ck_assert_ptr_null(strstr(fake.journal, "fence"));
	ck_assert_uint_eq(fake.n_lockers, 1);
}
END_TEST

/* All are looked at before the first is fenced. */
START_TEST(one_of_two_is_alive)
{
	add_foe("client.9");
	strcpy(foe.addr, "10.77.0.13:0/7");
	fake.watched_addr = "10.77.0.13:0/7";
	add_foe("client.10");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_null(strstr(fake.journal, "fence"));
	ck_assert_uint_eq(fake_count("held"), 2);
}
END_TEST

START_TEST(two_dead)
{
	foe.mode = XLRBD_MODE_R;
	add_foe("client.9");
	strcpy(foe.addr, "10.77.0.13:0/7");
	add_foe("client.10");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	/* Both are fenced before the first one's entry goes. */
	ck_assert_ptr_nonnull(strstr(fake.journal,
				     "fence fence add-fenced break-held add-fenced break-held"));
	ck_assert_uint_eq(fake_count("fenced"), 2);
}
END_TEST

/* Who does not conflict is left alone. */
START_TEST(others_stay)
{
	add_foe("client.9");
	foe.mode = XLRBD_MODE_R_SHARED;
	strcpy(foe.addr, "10.77.0.13:0/7");
	fake.watched_addr = foe.addr;
	add_foe("client.10");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	ck_assert_uint_eq(fake_count("held"), 2);
	ck_assert_uint_eq(fake_count("fenced"), 1);
}
END_TEST

/* A pending one with the lower cookie decides first: it may have it all. */
START_TEST(pending_first)
{
	add_foe("client.9");
	foe.state = XLRBD_PENDING;
	foe.time = 1LL << 40;
	strcpy(foe.host.name, "xen0");
	add_foe("client.10");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_null(strstr(fake.journal, "fence"));
	ck_assert_uint_eq(fake.n_lockers, 2);
}
END_TEST

static void somebody_comes(void)
{
	if (fake_count("fenced") != 1 || fake_count("held"))
		return;
	/* A destination that had joined the one that is buried now. */
	foe.state = XLRBD_HELD;
	strcpy(foe.domain, "web9--incoming");
	strcpy(foe.addr, "10.77.0.13:0/7");
	add_foe("client.10");
}

START_TEST(looks_again)
{
	add_foe("client.9");
	fake.on_list = somebody_comes;
	fake.watched_addr = "10.77.0.13:0/7";
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "domain web9 "));
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake_count("pending"), 0);
}
END_TEST

START_TEST(own_kernel)
{
	strcpy(fake.params, "rbd:web1");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	strcpy(foe.addr, "10.77.0.11:0/42");
	add_foe("client.9");
	fake_break("client.100", "held");
	fake.recorded = false;
	strcpy(fake.params, "rbd:web1,takeover=fence");
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), -EBUSY);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx), "this very host"));
	ck_assert_ptr_null(strstr(fake.journal, "fence"));
}
END_TEST

static size_t n_asked;
static bool answer;

static bool confirm(void *data, const struct xlrbd_holder *cut_off, size_t n)
{
	ck_assert_ptr_eq(data, &answer);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(cut_off->image, "rbd/web1");
	ck_assert_str_eq(cut_off->domain, "web9");
	ck_assert_str_eq(cut_off->address, "10.77.0.12:0/99");
	ck_assert_int_eq(cut_off->state, XLRBD_HELD);
	ck_assert_int_eq(cut_off->life, XLRBD_LIFE_SILENT);
	ck_assert_uint_eq(cut_off->domid, 5);
	ck_assert_uint_eq(cut_off->devid, 51712);
	n_asked++;
	return answer;
}

START_TEST(asks_before_it_fences)
{
	struct xlrbd_spec spec = { .image = "web1" };

	n_asked = 0;
	answer = _i;
	add_foe("client.9");
	ck_assert_int_eq(xlrbd_takeover(ctx, &spec, confirm, &answer),
			 answer ? 0 : -ECANCELED);
	ck_assert_uint_eq(n_asked, 1);
	ck_assert_uint_eq(fake_count(answer ? "fenced" : "held"), 1);
	ck_assert_uint_eq(fake.n_lockers, 1);
	ck_assert_int_eq(fake.connections, 0);
}
END_TEST

/* Who a tombstone keeps away: what migrates under its UUID, nobody else. */
static const struct {
	const char *domain, *uuid;
	int rc;
} arrivals[] = {
	{ "web9", UUID_9, 0 },
	{ "web9--incoming", UUID_9, -EBUSY },
	{ "web1--incoming", "82de1d03-0000-4000-8000-000000000001", 0 },
	{ "web1", "82de1d03-0000-4000-8000-000000000001", 0 },
};

START_TEST(tombstone)
{
	foe.state = XLRBD_FENCED;
	add_foe("client.9");
	strcpy(fake.domain, arrivals[_i].domain);
	strcpy(fake.uuid, arrivals[_i].uuid);
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), arrivals[_i].rc);
	ck_assert_uint_eq(fake_count("fenced"), 1);
	ck_assert_ptr_null(strstr(fake.journal, "add-fenced"));
	if (arrivals[_i].rc)
		ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
					     "taken over from domain web9"));
}
END_TEST

START_TEST(fenced_client_maps_apart)
{
	strcpy(fake.params, _i ? "rbd:web1,map=rxbounce" : "rbd:web1");
	fake.shared_client_is_fenced = true;
	ck_assert_int_eq(xlrbd_vbd_add(ctx, PATH), 0);
	/* Recorded before each try. */
	ck_assert_ptr_nonnull(strstr(fake.journal, _i ?
		"record map,rxbounce record map,noshare,rxbounce record" :
		"record map record map,noshare record"));
	ck_assert_str_eq(xlrbd_error(ctx), "");
}
END_TEST

Suite *takeover_suite(void)
{
	Suite *suite = suite_create("takeover");
	TCase *tcase = tcase_create("takeover");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, order);
	tcase_add_test(tcase, only_if_told);
	tcase_add_loop_test(tcase, each_step_fails, 0, N_STEPS);
	tcase_add_test(tcase, alive);
	tcase_add_test(tcase, one_of_two_is_alive);
	tcase_add_test(tcase, two_dead);
	tcase_add_test(tcase, others_stay);
	tcase_add_test(tcase, pending_first);
	tcase_add_test(tcase, looks_again);
	tcase_add_test(tcase, own_kernel);
	tcase_add_loop_test(tcase, asks_before_it_fences, 0, 2);
	tcase_add_loop_test(tcase, tombstone, 0,
			    XLRBD__ARRAY_SIZE(arrivals));
	tcase_add_loop_test(tcase, fenced_client_maps_apart, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
