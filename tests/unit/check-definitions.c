// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Domains' definitions: what must be unique, who came first, and that all of a
 * change happens or nothing.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

#define UUID_1 "82de1d03-0000-4000-8000-000000000001"
#define UUID_2 "82de1d03-0000-4000-8000-000000000002"
#define MAC_1 "00:16:3e:00:00:01"
#define MAC_2 "00:16:3e:00:00:02"
#define MAC_3 "00:16:3e:00:00:03"

static const struct xlrbd_spec pool = { .pool = NULL };
static struct xlrbd_ctx *ctx;

static void setup(void)
{
	fake_reset();
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(fake.connections, 0);
	xlrbd_free(ctx);
}

/* Stores what is made from @version; on success *@version is the new one. */
static int store_from(const char *name, const char *uuid, const char *macs,
		      uint64_t *version)
{
	struct xlrbd_definition d = {
		.name = strdup(name), .uuid = strdup(uuid),
		.macs = strdup(macs), .config = strdup("name = \"x\"\n"),
		.json = strdup("{}"), .version = *version,
	};
	int rc = xlrbd_definition_store(ctx, &pool, &d);

	ck_assert_uint_eq(d.version, *version + !rc);
	if (!rc)
		ck_assert_str_eq(d.host, "xen1");
	*version = d.version;
	xlrbd_definition_dispose(&d);
	return rc;
}

static int store(const char *name, const char *uuid, const char *macs,
		 uint64_t version)
{
	return store_from(name, uuid, macs, &version);
}

static int drop(const char *name)
{
	return xlrbd_definition_remove(ctx, &pool, name);
}

static void expect_error(const char *part)
{
	ck_assert_msg(strstr(xlrbd_error(ctx), part) != NULL, "\"%s\"",
		      xlrbd_error(ctx));
}

/* As a call by somebody else in the middle of ours would have it. */
static int elsewhere(int (*act)(void))
{
	struct xlrbd_ctx *ours = ctx;
	int rc;

	fake.on_change = NULL;
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	rc = act();
	xlrbd_free(ctx);
	ctx = ours;
	return rc;
}

START_TEST(new)
{
	struct xlrbd_definition d;

	ck_assert_int_eq(store("web1", UUID_1, MAC_1 " " MAC_2, 0), 0);
	ck_assert_str_eq(fake.journal,
			 "connect enter host map-each map-change");
	ck_assert_str_eq(fake_map_get("uuid:" UUID_1), "web1");
	ck_assert_str_eq(fake_map_get("mac:" MAC_1), "web1");
	ck_assert_str_eq(fake_map_get("mac:" MAC_2), "web1");
	ck_assert_uint_eq(fake_map_size(), 4);
	ck_assert_int_eq(xlrbd_definition_load(ctx, &pool, "web1", &d), 0);
	ck_assert_str_eq(d.name, "web1");
	ck_assert_str_eq(d.uuid, UUID_1);
	ck_assert_str_eq(d.macs, MAC_1 " " MAC_2);
	ck_assert_str_eq(d.config, "name = \"x\"\n");
	ck_assert_str_eq(d.json, "{}");
	ck_assert_str_eq(d.host, "xen1");
	ck_assert_uint_eq(d.version, 1);
	ck_assert_int_ge(d.time, time(NULL) - 60);
	xlrbd_definition_dispose(&d);
}
END_TEST

/* What is claimed after a change of MAC_1 and MAC_2 to these. */
static const struct {
	const char *uuid, *macs;
	const char *owners[3];
} changes[] = {
	{ UUID_1, MAC_1 " " MAC_2, { "web1", "web1", "" } },
	{ UUID_1, MAC_2 " " MAC_1, { "web1", "web1", "" } },
	{ UUID_1, MAC_3 " " MAC_2, { "", "web1", "web1" } },
	{ UUID_1, "", { "", "", "" } },
	{ UUID_2, MAC_1, { "web1", "", "" } },
	/* Twice the same is the domain's own affair. */
	{ UUID_1, MAC_3 " " MAC_3, { "", "", "web1" } },
};

START_TEST(change)
{
	uint64_t version = 0;
	size_t i;

	ck_assert_int_eq(store_from("web1", UUID_1, MAC_1 " " MAC_2,
				    &version), 0);
	ck_assert_int_eq(store_from("web1", changes[_i].uuid,
				    changes[_i].macs, &version), 0);
	ck_assert_uint_eq(version, 2);
	for (i = 0; i < 3; i++) {
		char key[32];

		snprintf(key, sizeof(key), "mac:00:16:3e:00:00:%02zx", i + 1);
		ck_assert_str_eq(fake_map_get(key), changes[_i].owners[i]);
	}
	ck_assert_str_eq(fake_map_get("uuid:" UUID_1),
			 strcmp(changes[_i].uuid, UUID_1) ? "" : "web1");
	ck_assert_str_eq(fake_map_get(_i == 4 ? "uuid:" UUID_2 :
						"uuid:" UUID_1), "web1");
	/* What was given up is anybody's, and nothing is left in the end. */
	ck_assert_int_eq(drop("web1"), 0);
	ck_assert_uint_eq(fake_map_size(), 0);
	ck_assert_int_eq(store("web2", UUID_1, MAC_1 " " MAC_2, 0), 0);
}
END_TEST

/* web1 has version 2, UUID_1 and MAC_1; web2 version 1, UUID_2 and MAC_2. */
static void two_domains(void)
{
	ck_assert_int_eq(store("web1", UUID_1, MAC_1, 0), 0);
	ck_assert_int_eq(store("web1", UUID_1, MAC_1, 1), 0);
	ck_assert_int_eq(store("web2", UUID_2, MAC_2, 0), 0);
}

static const struct {
	const char *name, *uuid, *macs;
	uint64_t version;
	int rc;
	const char *error;
} refused[] = {
	{ "web1", UUID_1, MAC_1, 0, -EEXIST, "web1: defined already, version 2" },
	{ "web1", UUID_1, MAC_1, 1, -ESTALE,
	  "web1: yours is made from version 1, but xen1 has stored version 2" },
	{ "web1", UUID_1, MAC_1, 3, -ESTALE, "made from version 3" },
	{ "web3", UUID_1, MAC_3, 1, -ESTALE, "web3: not defined any more" },
	{ "web3", UUID_1, MAC_3, 0, -EEXIST, "uuid:" UUID_1 " is domain web1's" },
	{ "web1", UUID_2, MAC_1, 2, -EEXIST, "uuid:" UUID_2 " is domain web2's" },
	{ "web1", UUID_1, MAC_1 " " MAC_2, 2, -EEXIST,
	  "mac:" MAC_2 " is domain web2's" },
	{ "web\xff", "u", "", 0, -EINVAL, "UTF-8" },
};

START_TEST(nothing_changes_if_refused)
{
	char *before, *after;

	two_domains();
	before = fake_map_text();
	ck_assert_int_eq(store(refused[_i].name, refused[_i].uuid,
			       refused[_i].macs, refused[_i].version),
			 refused[_i].rc);
	expect_error(refused[_i].error);
	after = fake_map_text();
	ck_assert_str_eq(after, before);
	free(before);
	free(after);
}
END_TEST

START_TEST(too_many_macs)
{
	char macs[80 * sizeof(MAC_1) + 1] = "";
	int i;

	for (i = 0; i < 80; i++)
		sprintf(macs + strlen(macs), "00:16:3e:00:01:%02x ", i);
	ck_assert_int_eq(store("web1", UUID_1, macs, 0), -E2BIG);
	expect_error("web1: too many network interfaces");
	ck_assert_uint_eq(fake_map_size(), 0);
}
END_TEST

START_TEST(names_are_not_prefixes)
{
	struct xlrbd_definition d;

	ck_assert_int_eq(store("web10", UUID_1, "", 0), 0);
	ck_assert_int_eq(xlrbd_definition_load(ctx, &pool, "web1", &d),
			 -ENOENT);
	expect_error("no domain \"web1\" is defined in rbd");
	ck_assert_int_eq(drop("web1"), -ENOENT);
	ck_assert_int_eq(store("web1", UUID_2, "", 0), 0);
	ck_assert_int_eq(drop("web1"), 0);
	ck_assert_str_eq(fake_map_get("uuid:" UUID_1), "web10");
}
END_TEST

/* Longer than anything that libxl takes. */
START_TEST(long_name)
{
	char name[301] = "";
	struct xlrbd_definition d;
	int rc;

	memset(name, 'x', sizeof(name) - 1);
	rc = store(name, UUID_1, "", 0);
	if (rc < 0) {
		ck_assert_uint_eq(fake_map_size(), 0);
		return;
	}
	ck_assert_int_eq(xlrbd_definition_load(ctx, &pool, name, &d), 0);
	xlrbd_definition_dispose(&d);
	ck_assert_int_eq(store(name, UUID_1, "", 1), 0);
	ck_assert_int_eq(drop(name), 0);
}
END_TEST

/* What somebody else does between our look and our change. */
static int stores_newer(void)
{
	return store("web1", UUID_1, MAC_3, 2);
}

static int removes(void)
{
	return drop("web1");
}

static int claims_mac(void)
{
	return store("web3", "u3", MAC_3, 0);
}

static int defines_the_same(void)
{
	return store("web4", "u4", "", 0);
}

static int (*act)(void);

static void in_the_middle(void)
{
	ck_assert_int_eq(elsewhere(act), 0);
}

static const struct {
	int (*act)(void);
	const char *name, *uuid, *macs;
	uint64_t version;
	int rc;
	const char *error;
} races[] = {
	{ stores_newer, "web1", UUID_1, MAC_1, 2, -ESTALE,
	  "web1: changed by somebody else this moment" },
	{ removes, "web1", UUID_1, MAC_1, 2, -ESTALE,
	  "web1: changed by somebody else this moment" },
	{ claims_mac, "web1", UUID_1, MAC_3, 2, -EEXIST,
	  "mac:" MAC_3 " is domain web3's" },
	{ claims_mac, "web4", "u4", MAC_3, 0, -EEXIST,
	  "mac:" MAC_3 " is domain web3's" },
	{ defines_the_same, "web4", "u4", "", 0, -ESTALE,
	  "web4: changed by somebody else this moment" },
	{ defines_the_same, "web4", "u5", "", 0, -ESTALE, "web4: changed" },
	/* Who removes: another version is not what was looked at. */
	{ stores_newer, "web1", NULL, NULL, 0, -ESTALE,
	  "web1: changed by somebody else this moment" },
	{ removes, "web1", NULL, NULL, 0, -ESTALE, "web1: changed" },
};

START_TEST(changed_in_the_middle)
{
	char *alone, *both;

	two_domains();
	act = races[_i].act;
	ck_assert_int_eq(act(), 0);
	alone = fake_map_text();
	fake_map_reset();
	two_domains();
	fake.on_change = in_the_middle;
	ck_assert_int_eq(races[_i].uuid ?
			 store(races[_i].name, races[_i].uuid, races[_i].macs,
			       races[_i].version) : drop(races[_i].name),
			 races[_i].rc);
	expect_error(races[_i].error);
	/* The times may differ by a second. */
	both = fake_map_text();
	ck_assert_uint_eq(strlen(both), strlen(alone));
	free(alone);
	free(both);
}
END_TEST

static int nth(int i)
{
	struct xlrbd_definition d;
	int rc;

	switch (i) {
	case 0:
		return store("web3", "u3", MAC_3, 0);
	case 1:
		return store("web1", UUID_1, MAC_3, 2);
	case 2:
		return drop("web1");
	}
	memset(&d, 0xff, sizeof(d));
	rc = xlrbd_definition_load(ctx, &pool, "web1", &d);
	/* Also what was there before the call. */
	if (rc < 0)
		ck_assert(!d.name && !d.uuid && !d.macs && !d.config &&
			  !d.json && !d.host && !d.version);
	xlrbd_definition_dispose(&d);
	return rc;
}

/* Each step of store, change, remove and load. */
START_TEST(each_step_fails)
{
	char *before, *after;
	int i, n;

	for (i = 0; i < 4; i++) {
		fake_map_reset();
		two_domains();
		before = fake_map_text();
		fake.n_steps = 0;
		fake.fail_at = _i;
		n = nth(i);
		fake.fail_at = -1;
		ck_assert_int_eq(n, fake.n_steps > _i ? -EIO : 0);
		after = fake_map_text();
		ck_assert(n == 0 || !strcmp(before, after));
		ck_assert_int_eq(n == -EIO, xlrbd_error(ctx)[0] != '\0');
		free(before);
		free(after);
	}
}
END_TEST

/* Each reader of one that is not understood says so, and leaves it alone. */
static const char *const not_ours[] = {
	"{\"format\":2}", "", "junk",
	"{\"format\":2,\"name\":\"web1\",\"uuid\":\"u\",\"macs\":\"\",\"config\":\"\","
	"\"json\":\"\",\"host\":\"\",\"time\":1,\"version\":1}",
	"{\"format\":1,\"name\":\"web1\"}",
};

static int count(void *data, const struct xlrbd_definition *definition)
{
	(void)definition;
	++*(int *)data;
	return 0;
}

START_TEST(later_format)
{
	struct xlrbd_definition d;
	int n = 0;

	fake_map_set("domain:web1", not_ours[_i]);
	ck_assert_int_eq(xlrbd_definition_load(ctx, &pool, "web1", &d),
			 -EPROTO);
	expect_error("definition of web1: not understood");
	ck_assert_ptr_null(d.name);
	ck_assert_int_eq(store("web1", UUID_1, "", 0), -EPROTO);
	ck_assert_int_eq(drop("web1"), -EPROTO);
	ck_assert_int_eq(xlrbd_definitions(ctx, &pool, count, &n), -EPROTO);
	expect_error("web1: not understood");
	ck_assert_str_eq(fake_map_get("domain:web1"), not_ours[_i]);
	ck_assert_uint_eq(fake_map_size(), 1);
}
END_TEST

static int collect(void *data, const struct xlrbd_definition *definition)
{
	strcat(strcat(data, definition->name), " ");
	return strcmp(definition->name, "web2") ? 0 : 7;
}

START_TEST(walk)
{
	char names[64] = "";

	ck_assert_int_eq(xlrbd_definitions(ctx, &pool, collect, names), 0);
	ck_assert_str_eq(names, "");
	ck_assert_int_eq(store("web3", "u3", "", 0), 0);
	two_domains();
	/* What fn returns ends it. */
	ck_assert_int_eq(xlrbd_definitions(ctx, &pool, collect, names), 7);
	ck_assert_str_eq(names, "web1 web2 ");
	fake.n_steps = 0;
	fake.fail_at = 2;
	ck_assert_int_eq(xlrbd_definitions(ctx, &pool, collect, names), -EIO);
	expect_error("read the definitions in rbd");
}
END_TEST

Suite *definitions_suite(void)
{
	Suite *suite = suite_create("definitions");
	TCase *tcase = tcase_create("definitions");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, new);
	tcase_add_loop_test(tcase, change, 0, XLRBD__ARRAY_SIZE(changes));
	tcase_add_loop_test(tcase, nothing_changes_if_refused, 0,
			    XLRBD__ARRAY_SIZE(refused));
	tcase_add_test(tcase, too_many_macs);
	tcase_add_test(tcase, names_are_not_prefixes);
	tcase_add_test(tcase, long_name);
	tcase_add_loop_test(tcase, changed_in_the_middle, 0,
			    XLRBD__ARRAY_SIZE(races));
	tcase_add_loop_test(tcase, each_step_fails, 0, 6);
	tcase_add_loop_test(tcase, later_format, 0,
			    XLRBD__ARRAY_SIZE(not_ours));
	tcase_add_test(tcase, walk);
	suite_add_tcase(suite, tcase);
	return suite;
}
