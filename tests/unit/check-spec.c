// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The target grammar, as a table: what is accepted and how it is understood,
 * what is refused and with which words.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "unit.h"

static struct xlrbd_ctx *ctx;

static void setup(void)
{
	ck_assert_int_eq(xlrbd_new(&ctx), 0);
}

static void teardown(void)
{
	xlrbd_free(ctx);
}

#define M(name) XLRBD_MODE_##name

static const struct {
	const char *target;
	struct xlrbd_spec spec;
} accepted[] = {
	/* Names. */
	{ "web1", { .image = "web1" } },
	{ "rbd:web1", { .pool = "rbd", .image = "web1" } },
	{ "rbd/web1", { .pool = "rbd", .image = "web1" } },
	{ "rbd/ns:web1", { .pool = "rbd", .ns = "ns", .image = "web1" } },
	{ "rbd/ns/web1", { .pool = "rbd", .ns = "ns", .image = "web1" } },
	{ "web1@v1", { .image = "web1", .snap = "v1" } },
	{ "rbd:web1@v1", { .pool = "rbd", .image = "web1", .snap = "v1" } },
	{ "rbd/web1@v1", { .pool = "rbd", .image = "web1", .snap = "v1" } },
	{ "a/b:c@d", { .pool = "a", .ns = "b", .image = "c", .snap = "d" } },
	{ "a/b/c@d", { .pool = "a", .ns = "b", .image = "c", .snap = "d" } },
	{ "ceph-test", { .image = "ceph-test" } },
	{ "rbd:we.b_1-x", { .pool = "rbd", .image = "we.b_1-x" } },
	{ "rbd:web=1", { .pool = "rbd", .image = "web=1" } },
	{ "rbd:w\xc3\xa9" "b", { .pool = "rbd", .image = "w\xc3\xa9" "b" } },
	/* A snapshot's name may hold what comes before a '@'. */
	{ "rbd:a,mode=w", { .pool = "rbd", .image = "a", .mode = M(W) } },
	/* Escapes. */
	{ "a%3Ab", { .image = "a:b" } },
	{ "rbd:a%2Cb", { .pool = "rbd", .image = "a,b" } },
	{ "rbd:a%2cb", { .pool = "rbd", .image = "a,b" } },
	{ "rbd:100%25", { .pool = "rbd", .image = "100%" } },
	{ "p%3A:a", { .pool = "p:", .image = "a" } },
	{ "rbd:a@%3a", { .pool = "rbd", .image = "a", .snap = ":" } },
	{ "a,conf=/etc/a%2Cb", { .image = "a", .conf = "/etc/a,b" } },
	/* Options, each and all. */
	{ "a,id=xen", { .image = "a", .id = "xen" } },
	{ "a,id=xen.1_b-c", { .image = "a", .id = "xen.1_b-c" } },
	{ "a,conf=/etc/ceph/b.conf",
	  { .image = "a", .conf = "/etc/ceph/b.conf" } },
	{ "a,cluster=backup", { .image = "a", .cluster = "backup" } },
	{ "a,mode=r", { .image = "a", .mode = M(R) } },
	{ "a,mode=w", { .image = "a", .mode = M(W) } },
	{ "a,mode=r!", { .image = "a", .mode = M(R_SHARED) } },
	{ "a,mode=w!", { .image = "a", .mode = M(W_SHARED) } },
	{ "a@s,mode=r!",
	  { .image = "a", .snap = "s", .mode = M(R_SHARED) } },
	{ "a,timeout=10", { .image = "a", .timeout_s = 10 } },
	{ "a,timeout=35", { .image = "a", .timeout_s = 35 } },
	{ "a,timeout=030", { .image = "a", .timeout_s = 30 } },
	{ "a,takeover=fence", { .image = "a", .takeover = true } },
	{ "a,clone=b@c", { .image = "a", .base = "b@c" } },
	{ "a,clone=p/b@c", { .image = "a", .base = "p/b@c" } },
	{ "a,clone=p/n/b@c,size=20G,ephemeral",
	  { .image = "a", .base = "p/n/b@c", .size = 20ULL << 30,
	    .ephemeral = true } },
	{ "a,clone=b%2C@c", { .image = "a", .base = "b,@c" } },
	{ "a,clone=b@c,size=3K", { .image = "a", .base = "b@c", .size = 3072 } },
	{ "a,clone=b@c,size=4M",
	  { .image = "a", .base = "b@c", .size = 4 << 20 } },
	{ "a,clone=b@c,size=2T",
	  { .image = "a", .base = "b@c", .size = 2ULL << 40 } },
	/* Named after the domain. */
	{ "rbd:", { .pool = "rbd" } },
	{ "rbd/", { .pool = "rbd" } },
	{ "p/n:", { .pool = "p", .ns = "n" } },
	{ ",mode=w", { .mode = M(W) } },
	{ "p:,clone=b@c", { .pool = "p", .base = "b@c" } },
	{ "a,map=queue_depth=256",
	  { .image = "a", .map_options = "queue_depth=256" } },
	{ "a,map=alloc_size=65536",
	  { .image = "a", .map_options = "alloc_size=65536" } },
	{ "a,map=read_from_replica=localize,map=crush_location=host:xen1|rack:r1",
	  { .image = "a", .map_options =
	    "read_from_replica=localize,crush_location=host:xen1|rack:r1" } },
	{ "a,map=compression_hint=incompressible",
	  { .image = "a", .map_options = "compression_hint=incompressible" } },
	{ "a,map=ms_mode=prefer-secure",
	  { .image = "a", .map_options = "ms_mode=prefer-secure" } },
	{ "a,map=rxbounce,map=notrim,map=noshare",
	  { .image = "a", .map_options = "rxbounce,notrim,noshare" } },
	{ "a,map=lock_on_read", { .image = "a", .map_options =
				  "lock_on_read" } },
	{ "a,map=abort_on_full", { .image = "a", .map_options =
				   "abort_on_full" } },
	{ "a,map=tcp_nodelay", { .image = "a", .map_options =
				 "tcp_nodelay" } },
	{ "a,map=notcp_nodelay", { .image = "a", .map_options =
				   "notcp_nodelay" } },
	{ "p/n:i,id=u,cluster=c,mode=w!,map=rxbounce,timeout=20",
	  { .pool = "p", .ns = "n", .image = "i", .id = "u", .cluster = "c",
	    .mode = M(W_SHARED), .map_options = "rxbounce",
	    .timeout_s = 20 } },
};

static void expect_string(const char *value, const char *expected)
{
	if (expected)
		ck_assert_str_eq(value, expected);
	else
		ck_assert_ptr_null(value);
}

START_TEST(is_accepted)
{
	const struct xlrbd_spec *expected = &accepted[_i].spec;
	struct xlrbd_spec spec;

	ck_assert_msg(xlrbd_spec_parse(ctx, accepted[_i].target, &spec) == 0,
		      "%s: %s", accepted[_i].target, xlrbd_error(ctx));
	expect_string(spec.pool, expected->pool);
	expect_string(spec.ns, expected->ns);
	expect_string(spec.image, expected->image);
	expect_string(spec.snap, expected->snap);
	expect_string(spec.id, expected->id);
	expect_string(spec.conf, expected->conf);
	expect_string(spec.cluster, expected->cluster);
	expect_string(spec.map_options, expected->map_options);
	ck_assert_int_eq(spec.mode, expected->mode);
	ck_assert_uint_eq(spec.timeout_s, expected->timeout_s);
	ck_assert_int_eq(spec.takeover, expected->takeover);
	expect_string(spec.base, expected->base);
	ck_assert_uint_eq(spec.size, expected->size);
	ck_assert_int_eq(spec.ephemeral, expected->ephemeral);
	xlrbd_spec_dispose(&spec);
	xlrbd_spec_dispose(&spec);
}
END_TEST

#define BLANK "blank, control character, '/' or '@'"

static const struct {
	const char *target, *error;
} refused[] = {
	/* Names. */
	{ "", "target: empty; it takes POOL:IMAGE, such as target=rbd:web1" },
	{ ",", "target: unknown option; see block-rbd(8): \"\"" },
	{ ":", "target: no pool name: \":\"" },
	{ "/", "target: no pool name: \"/\"" },
	{ "@", "target: no image name: \"@\"" },
	{ ":web1", "target: no pool name: \":web1\"" },
	{ "rbd:@v1", "target: no image name: \"@v1\"" },
	{ "rbd:web1@", "target: no snapshot name: \"\"" },
	{ "rbd/:web1", "target: no namespace name: \":web1\"" },
	{ "rbd//web1", "target: no namespace name: \"/web1\"" },
	{ "/ns:web1", "target: no pool name: \"/ns:web1\"" },
	{ "a/b/c/d", "target: " BLANK " in the namespace name: \"b/c\"" },
	{ "a/b:c/d",
	  "target: more than one ':', or '/' after it: \"a/b:c/d\"" },
	{ "a:b:c", "target: more than one ':', or '/' after it: \"a:b:c\"" },
	{ "a:b@c@d", "target: " BLANK " in the snapshot name: \"c@d\"" },
	{ "p@q:a", "target: " BLANK " in the pool name: \"p@q\"" },
	{ "a b", "target: " BLANK " in the image name: \"a b\"" },
	{ "rbd:web1 ", "target: " BLANK " in the image name: \"web1 \"" },
	{ " rbd:web1", "target: " BLANK " in the pool name: \" rbd\"" },
	{ "a\tb", "target: " BLANK " in the image name: \"a?b\"" },
	{ "a\nb", "target: " BLANK " in the image name: \"a?b\"" },
	{ "a\x1b[31m", "target: " BLANK " in the image name: \"a?[31m\"" },
	{ "a\x7f", "target: " BLANK " in the image name: \"a?\"" },
	{ "a%20b", "target: " BLANK " in the image name: \"a%20b\"" },
	{ "a%2Fb", "target: " BLANK " in the image name: \"a%2Fb\"" },
	{ "a%40b", "target: " BLANK " in the image name: \"a%40b\"" },
	{ "p/n%2Cro:a", "target: ',' in the namespace name: \"n%2Cro\"" },
	/* Escapes. */
	{ "a%", "target: bad %XX in the image name: \"a%\"" },
	{ "a%4", "target: bad %XX in the image name: \"a%4\"" },
	{ "a%zz", "target: bad %XX in the image name: \"a%zz\"" },
	{ "a%00", "target: bad %XX in the image name: \"a%00\"" },
	{ "a,conf=/%0", "target: bad %XX: \"conf=/%0\"" },
	/* Options. */
	{ "a,", "target: unknown option; see block-rbd(8): \"\"" },
	{ "a,,mode=r", "target: unknown option; see block-rbd(8): \"\"" },
	{ "a,moed=r", "target: unknown option; see block-rbd(8): \"moed=r\"" },
	{ "a,mod=r", "target: unknown option; see block-rbd(8): \"mod=r\"" },
	{ "a,MODE=r", "target: unknown option; see block-rbd(8): \"MODE=r\"" },
	{ "a, mode=r",
	  "target: unknown option; see block-rbd(8): \" mode=r\"" },
	{ "a,ephemeral",
	  "target: ephemeral goes with clone= only: \"a,ephemeral\"" },
	{ "a,clone=b@c,ephemeral=yes",
	  "target: takes no value: \"ephemeral=yes\"" },
	{ "a,clone=b@c,ephemeral,ephemeral",
	  "target: option given twice: \"ephemeral\"" },
	{ "a@s,clone=b@c",
	  "target: clone= makes an image, not a snapshot: \"a@s,clone=b@c\"" },
	{ "a,clone=b",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=b\"" },
	{ "a,clone=b@",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=b@\"" },
	{ "a,clone=@c",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=@c\"" },
	{ "a,clone=p//b@c",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=p//b@c\"" },
	{ "a,clone=p/n/x/b@c",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=p/n/x/b@c\"" },
	{ "a,clone=b@c@d",
	  "target: clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT: \"clone=b@c@d\"" },
	{ "a,clone=b@c,clone=b@c",
	  "target: option given twice: \"clone=b@c\"" },
	{ "a,size=1G", "target: size= goes with clone= only: \"a,size=1G\"" },
	{ "a,clone=b@c,size=1",
	  "target: size= takes a number with K, M, G or T, such as size=20G: \"size=1\"" },
	{ "a,clone=b@c,size=0G",
	  "target: size= takes a number with K, M, G or T, such as size=20G: \"size=0G\"" },
	{ "a,clone=b@c,size=-1G",
	  "target: size= takes a number with K, M, G or T, such as size=20G: \"size=-1G\"" },
	{ "a,clone=b@c,size=1GB",
	  "target: size= takes a number with K, M, G or T, such as size=20G: \"size=1GB\"" },
	{ "a,clone=b@c,size=9999999999T",
	  "target: size= takes a number with K, M, G or T, such as size=20G: \"size=9999999999T\"" },
	{ "a,clone=b@c,size=1G,size=2G",
	  "target: option given twice: \"size=2G\"" },
	{ "a,id=", "target: option without its value: \"id=\"" },
	{ "a,mode", "target: option without its value: \"mode\"" },
	{ "a,id=client.xen",
	  "target: id= goes without \"client.\": \"id=client.xen\"" },
	{ "a,id=a%2Cb",
	  "target: id= takes a cephx id, such as id=xen: \"id=a%2Cb\"" },
	{ "a,id=a=b",
	  "target: id= takes a cephx id, such as id=xen: \"id=a=b\"" },
	{ "a,id=a b", "target: " BLANK ": \"id=a b\"" },
	{ "a,id=x,id=y", "target: option given twice: \"id=y\"" },
	{ "a,conf=ceph.conf",
	  "target: conf= takes an absolute path: \"conf=ceph.conf\"" },
	{ "a,conf=/a,conf=/a", "target: option given twice: \"conf=/a\"" },
	{ "a,cluster=../x", "target: " BLANK ": \"cluster=../x\"" },
	{ "a,cluster=a.b",
	  "target: cluster= takes a name, such as ceph: \"cluster=a.b\"" },
	{ "a,cluster=b,conf=/c",
	  "target: conf= and cluster= both name the configuration: \"a,cluster=b,conf=/c\"" },
	{ "a,mode=rw", "target: mode= takes one of r, w, r!, w!: \"mode=rw\"" },
	{ "a,mode=!", "target: mode= takes one of r, w, r!, w!: \"mode=!\"" },
	{ "a,mode=w!!",
	  "target: mode= takes one of r, w, r!, w!: \"mode=w!!\"" },
	{ "a,mode=r,mode=r", "target: option given twice: \"mode=r\"" },
	{ "a@s,mode=w",
	  "target: a snapshot cannot be written to: \"a@s,mode=w\"" },
	{ "a@s,mode=w!",
	  "target: a snapshot cannot be written to: \"a@s,mode=w!\"" },
	{ "a,timeout=9",
	  "target: timeout= takes 10 to 35 seconds: \"timeout=9\"" },
	{ "a,timeout=36",
	  "target: timeout= takes 10 to 35 seconds: \"timeout=36\"" },
	{ "a,timeout=-10",
	  "target: timeout= takes 10 to 35 seconds: \"timeout=-10\"" },
	{ "a,timeout=20s",
	  "target: timeout= takes 10 to 35 seconds: \"timeout=20s\"" },
	{ "a,timeout=99999999999999999999",
	  "target: timeout= takes 10 to 35 seconds: \"timeout=99999999999999999999\"" },
	{ "a,timeout=20,timeout=20",
	  "target: option given twice: \"timeout=20\"" },
	{ "a,takeover=yes", "target: takeover= takes fence: \"takeover=yes\"" },
	{ "a,takeover=fence,takeover=fence",
	  "target: option given twice: \"takeover=fence\"" },
	{ "a,cluster=b,cluster=c",
	  "target: option given twice: \"cluster=c\"" },
	{ "a,map=exclusive",
	  "target: not a map option that may be set; see block-rbd(8): \"map=exclusive\"" },
	{ "a,map=rw",
	  "target: not a map option that may be set; see block-rbd(8): \"map=rw\"" },
	{ "a,map=secret=AQ==",
	  "target: not a map option that may be set; see block-rbd(8): \"map=secret=AQ==\"" },
	{ "a,map=osd_request_timeout=1",
	  "target: not a map option that may be set; see block-rbd(8): \"map=osd_request_timeout=1\"" },
	{ "a,map=queue_depth",
	  "target: not a map option that may be set; see block-rbd(8): \"map=queue_depth\"" },
	{ "a,map=queue_depth=",
	  "target: not a map option that may be set; see block-rbd(8): \"map=queue_depth=\"" },
	{ "a,map=rxbounce=1",
	  "target: not a map option that may be set; see block-rbd(8): \"map=rxbounce=1\"" },
	{ "a,map=queue_depth=1%2Csecret=x",
	  "target: not a map option that may be set; see block-rbd(8): \"map=queue_depth=1%2Csecret=x\"" },
	{ "a,map=queue_depth=1%20x",
	  "target: not a map option that may be set; see block-rbd(8): \"map=queue_depth=1%20x\"" },
};

START_TEST(is_refused)
{
	struct xlrbd_spec spec;
	int rc = xlrbd_spec_parse(ctx, refused[_i].target, &spec);

	ck_assert_msg(rc == -EINVAL, "accepted: %s", refused[_i].target);
	ck_assert_str_eq(xlrbd_error(ctx), refused[_i].error);
	ck_assert_ptr_null(spec.image);
}
END_TEST

/* As they are refused: without the value that they take, or with one. */
static const char *const bad_map_options[] = {
	"queue_depth", "alloc_size", "read_from_replica=", "crush_location",
	"compression_hint=a;b", "ms_mode", "rxbounce=1", "notrim=1",
	"noshare=", "lock_on_read=1", "abort_on_full=1", "tcp_nodelay=1",
	"notcp_nodelay=1",
};

START_TEST(map_options)
{
	struct xlrbd_spec spec;
	char target[64], expected[128];

	snprintf(target, sizeof(target), "a,map=%s", bad_map_options[_i]);
	snprintf(expected, sizeof(expected),
		 "target: not a map option that may be set; see block-rbd(8): \"map=%s\"",
		 bad_map_options[_i]);
	ck_assert_int_eq(xlrbd_spec_parse(ctx, target, &spec), -EINVAL);
	ck_assert_str_eq(xlrbd_error(ctx), expected);
}
END_TEST

START_TEST(long_names)
{
	char target[600] = "rbd:";
	struct xlrbd_spec spec;

	memset(target + 4, 'x', 510);
	ck_assert_int_eq(xlrbd_spec_parse(ctx, target, &spec), 0);
	ck_assert_uint_eq(strlen(spec.image), 510);
	xlrbd_spec_dispose(&spec);
	target[4 + 510] = 'x';
	ck_assert_int_eq(xlrbd_spec_parse(ctx, target, &spec), -EINVAL);
	ck_assert_ptr_nonnull(strstr(xlrbd_error(ctx),
				     "image name longer than 510 bytes"));
}
END_TEST

START_TEST(garbage)
{
	char target[4200];
	struct xlrbd_spec spec;
	const char *p;
	size_t i;

	for (i = 0; i < sizeof(target) - 1; i++)
		target[i] = (char)(1 + i * 7 % 255);
	target[_i ? 4096 : 4199] = '\0';
	ck_assert_int_eq(xlrbd_spec_parse(ctx, target, &spec), -EINVAL);
	/* A sentence, not the garbage. */
	ck_assert_uint_lt(strlen(xlrbd_error(ctx)), 200);
	for (p = xlrbd_error(ctx); *p; p++)
		ck_assert_int_ne((unsigned char)*p < 0x20 || *p == 0x7f, 1);
}
END_TEST

START_TEST(every_byte)
{
	char target[] = "rbd:a?b";
	struct xlrbd_spec spec;
	unsigned char c = (unsigned char)_i;
	bool usable = c > 0x20 && c != 0x7f && !strchr(":/@,%", c);
	int rc;

	target[5] = (char)c;
	rc = xlrbd_spec_parse(ctx, target, &spec);
	/* '@' begins a snapshot and ',' an option; the rest must be refused. */
	if (c != '@')
		ck_assert_int_eq(rc, usable ? 0 : -EINVAL);
	xlrbd_spec_dispose(&spec);
}
END_TEST

START_TEST(name_for_messages)
{
	struct xlrbd_spec spec = {
		.pool = "p", .ns = "n", .image = "i", .snap = "s",
	};
	char *name = xlrbd__spec_name(&spec);

	ck_assert_str_eq(name, "p/n/i@s");
	free(name);
	spec.ns = spec.snap = NULL;
	name = xlrbd__spec_name(&spec);
	ck_assert_str_eq(name, "p/i");
	free(name);
}
END_TEST

Suite *spec_suite(void)
{
	Suite *suite = suite_create("spec");
	TCase *tcase = tcase_create("spec");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, is_accepted, 0,
			    XLRBD__ARRAY_SIZE(accepted));
	tcase_add_loop_test(tcase, is_refused, 0, XLRBD__ARRAY_SIZE(refused));
	tcase_add_loop_test(tcase, map_options, 0,
			    XLRBD__ARRAY_SIZE(bad_map_options));
	tcase_add_test(tcase, long_names);
	tcase_add_loop_test(tcase, garbage, 0, 2);
	tcase_add_loop_test(tcase, every_byte, 1, 256);
	tcase_add_test(tcase, name_for_messages);
	suite_add_tcase(suite, tcase);
	return suite;
}
