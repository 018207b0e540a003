// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd.conf: what it adds to a target, what wins, and what is wrong with it.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "unit.h"

static struct xlrbd_ctx *ctx;

static void setup(void)
{
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
}

static void teardown(void)
{
	unlink(XLRBD_CONF);
	xlrbd_free(ctx);
}

static void write_conf(const char *text)
{
	FILE *file = fopen(XLRBD_CONF, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

#define CONF	"# all disks\n" \
		"id = xen\n" \
		"timeout = 20\n" \
		"map = rxbounce\n" \
		"cluster = east\n" \
		"\n" \
		"[pool gold]\n" \
		"id = reader\n" \
		"map = queue_depth=32\n" \
		"map = noshare\n" \
		"[pool silver]\n" \
		"conf = /etc/ceph/west.conf\n"

static const struct {
	const char *conf, *target;
	const char *pool, *id, *map, *cluster, *file;
	unsigned int timeout_s;
} merged[] = {
	{ NULL, "a", NULL, NULL, NULL, NULL, NULL, 0 },
	{ "", "a", NULL, NULL, NULL, NULL, NULL, 0 },
	{ CONF, "a", NULL, "xen", "rxbounce", "east", NULL, 20 },
	{ CONF, "rbd:a", "rbd", "xen", "rxbounce", "east", NULL, 20 },
	{ CONF, "gold:a", "gold", "reader", "queue_depth=32,noshare", "east",
	  NULL, 20 },
	{ CONF, "silver:a", "silver", "xen", "rxbounce", NULL,
	  "/etc/ceph/west.conf", 20 },
	/* The target wins. */
	{ CONF, "gold:a,id=me,map=notrim,timeout=11,conf=/x", "gold", "me",
	  "notrim", NULL, "/x", 11 },
	{ "pool = gold\n[pool gold]\nid=reader\n", "a", "gold", "reader", NULL,
	  NULL, NULL, 0 },
	{ "pool = gold\n[pool gold]\nid=reader\n", "rbd:a", "rbd", NULL, NULL,
	  NULL, NULL, 0 },
	{ "[pool rbd]\nid=reader\n", "a", NULL, "reader", NULL, NULL, NULL,
	  0 },
};

static void expect(const char *found, const char *expected)
{
	if (expected)
		ck_assert_str_eq(found, expected);
	else
		ck_assert_ptr_null(found);
}

START_TEST(merges)
{
	struct xlrbd_spec spec;

	if (merged[_i].conf)
		write_conf(merged[_i].conf);
	ck_assert_int_eq(xlrbd_spec_parse(ctx, merged[_i].target, &spec), 0);
	ck_assert_int_eq(xlrbd_spec_set_defaults(ctx, &spec), 0);
	expect(spec.pool, merged[_i].pool);
	expect(spec.id, merged[_i].id);
	expect(spec.map_options, merged[_i].map);
	expect(spec.cluster, merged[_i].cluster);
	expect(spec.conf, merged[_i].file);
	ck_assert_uint_eq(spec.timeout_s, merged[_i].timeout_s);
	xlrbd_spec_dispose(&spec);
}
END_TEST

static const struct {
	const char *conf, *error;
} refused[] = {
	{ "id = xen\nid = two\n",
	  XLRBD_CONF ":2: option given twice: \"id=two\"" },
	{ "\nsize = 1G\n",
	  XLRBD_CONF ":2: an option for one disk only, in its target: \"size=1G\"" },
	{ "[pool rbd]\nmode = w\n",
	  XLRBD_CONF ":2: an option for one disk only, in its target: \"mode=w\"" },
	{ "colour = red\n",
	  XLRBD_CONF ":1: unknown option; see block-rbd(8): \"colour=red\"" },
	{ "[golden]\nid = xen\n",
	  XLRBD_CONF ":2: section other than [pool NAME] and [hosts]: \"golden\"" },
	{ "pool = a/b\n", XLRBD_CONF ":1: pool= takes a pool's name: \"a/b\"" },
	{ "id = xen\nnonsense\n",
	  XLRBD_CONF ":2: not of the form NAME = VALUE, or too long" },
	{ "timeout = 99\n",
	  XLRBD_CONF ":1: timeout= takes 10 to 35 seconds: \"timeout=99\"" },
	{ "conf = /x\ncluster = y\n",
	  XLRBD_CONF ": conf= and cluster= both name the configuration" },
};

START_TEST(refuses)
{
	struct xlrbd_spec spec;

	write_conf(refused[_i].conf);
	ck_assert_int_eq(xlrbd_spec_parse(ctx, "a", &spec), 0);
	ck_assert_int_eq(xlrbd_spec_set_defaults(ctx, &spec), -EINVAL);
	ck_assert_str_eq(xlrbd_error(ctx), refused[_i].error);
	xlrbd_spec_dispose(&spec);
}
END_TEST

static const struct {
	const char *conf, *host, *address;
} addresses[] = {
	{ "", "xen2", "xen2" },
	{ "[hosts]\nxen1 = a\nxen2 = root@10.0.0.2\n", "xen2",
	  "root@10.0.0.2" },
	{ "[hosts]\nxen1 = a\n", "xen2", "xen2" },
	{ "[hosts]\nxen2 = -oProxyCommand=x\n", "xen2", NULL },
	{ "", "-oProxyCommand=x", NULL },
};

START_TEST(hosts)
{
	char *address;
	int rc;

	write_conf(addresses[_i].conf);
	rc = xlrbd_host_address(ctx, addresses[_i].host, &address);
	ck_assert_int_eq(rc, addresses[_i].address ? 0 : -EINVAL);
	expect(address, addresses[_i].address);
	free(address);
}
END_TEST

/* Of another pool's section only the form matters. */
START_TEST(other_sections)
{
	struct xlrbd_spec spec;

	write_conf("[pool other]\nid = client.x\n");
	ck_assert_int_eq(xlrbd_spec_parse(ctx, "a", &spec), 0);
	ck_assert_int_eq(xlrbd_spec_set_defaults(ctx, &spec), 0);
	ck_assert_ptr_null(spec.id);
	xlrbd_spec_dispose(&spec);
}
END_TEST

Suite *conf_suite(void)
{
	Suite *suite = suite_create("conf");
	TCase *tcase = tcase_create("conf");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, merges, 0, XLRBD__ARRAY_SIZE(merged));
	tcase_add_loop_test(tcase, refuses, 0, XLRBD__ARRAY_SIZE(refused));
	tcase_add_loop_test(tcase, hosts, 0, XLRBD__ARRAY_SIZE(addresses));
	tcase_add_test(tcase, other_sections);
	suite_add_tcase(suite, tcase);
	return suite;
}
