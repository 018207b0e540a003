// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Formats of others: keyrings, the monitors' JSON, feature bits; the escapes
 * and sentences that everything else uses; and records, as they are in /run.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "real-run.h"
#include "internal.h"
#include "unit.h"

static char path[] = "/tmp/check-files-XXXXXX";

static void write_file(const char *text)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void delete_file(void)
{
	unlink(path);
	memcpy(strrchr(path, '-') + 1, "XXXXXX", 6);
}

#define LISTED "[{\"addr\":\"10.0.0.1:0/7\",\"until\":\"2031-11-20T09:35:09.493430%s\"}][]listed 1 entries"

static const struct {
	const char *zone, *addr;
	int64_t until;
} fences[] = {
	{ "+0000", "10.0.0.1:0/7", 1952933709 },
	{ "Z", "10.0.0.1:0/7", 1952933709 },
	{ "+0130", "10.0.0.1:0/7", 1952933709 - 5400 },
	{ "-0500", "10.0.0.1:0/7", 1952933709 + 18000 },
	{ "+0000", "10.0.0.1:0/70", 0 },
	{ "+0000", "10.0.0.1:0/", 0 },
};

START_TEST(blocklist)
{
	char json[256];

	snprintf(json, sizeof(json), LISTED, fences[_i].zone);
	ck_assert_int_eq(xlrbd__mon_blocklisted_until(json, fences[_i].addr),
			 fences[_i].until);
}
END_TEST

START_TEST(blocklist_of_nothing)
{
	static const char *const answers[] = {
		"", "[]", "[][]", "{}", "[{\"addr\":7}]", "[{\"addr\":\"a\"}]",
		"[{\"addr\":\"a\",\"until\":\"soon\"}]",
	};
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(answers); i++)
		ck_assert_int_eq(xlrbd__mon_blocklisted_until(answers[i], "a"),
				 0);
}
END_TEST

#define OTHER "[client.other]\n\tkey = T1RIRVI=\n"

static const struct {
	const char *text;
	int rc;
} keyrings[] = {
	{ "[client.xen]\n\tkey = S0VZ\n", 0 },
	{ "[client.xen]\nkey=S0VZ", 0 },
	{ "# comment\n\n  [client.xen]  \n  key  =  S0VZ  \n", 0 },
	{ OTHER "[client.xen]\n\tkey = S0VZ\n" OTHER, 0 },
	{ "[client.xen]\n\tcaps mon = \"profile rbd\"\n\tkey = S0VZ\n", 0 },
	{ "[client.xen]\n\tcaps osd = \"allow rwx pool=aaaaaaaaaaaaaaaaaaaaaaaa, allow rwx pool=bbbbbbbbbbbbbbbbbbbbbbbbbbb, allow rwx pool=cccccccccccccccccccccccc, allow rwx pool=dddddddddddddddddddddddddd, allow rwx pool=e\"\n\tkey = S0VZ\n", 0 },
	{ "[client.xen]\r\n\tkey = S0VZ\r\n", 0 },
	{ "", -ENOENT },
	{ OTHER, -ENOENT },
	{ "[client.xen2]\n\tkey = S0VZ\n", -ENOENT },
	{ "[client.xen]\n\tcaps mon = \"allow r\"\n", -ENOENT },
	{ "[client.xen]\n", -ENOENT },
	{ "key = S0VZ\n", -ENOENT },
};

START_TEST(keyring)
{
	char key[64] = "", paths[128];

	write_file(keyrings[_i].text);
	snprintf(paths, sizeof(paths), "/nonexistent,%s", path);
	ck_assert_int_eq(xlrbd__keyring_read(paths, "client.xen", key,
					     sizeof(key)), keyrings[_i].rc);
	if (!keyrings[_i].rc)
		ck_assert_str_eq(key, "S0VZ");
	delete_file();
}
END_TEST

START_TEST(keyring_missing)
{
	char key[64];

	ck_assert_int_eq(xlrbd__keyring_read("/nonexistent/a,/nonexistent/b",
					     "client.xen", key, sizeof(key)),
			 -ENOENT);
}
END_TEST

#define MON(v2, v1) "{\"public_addrs\":{\"addrvec\":[" v2 "," v1 "]}}"
#define V2(addr) "{\"type\":\"v2\",\"addr\":\"" addr ":3300\",\"nonce\":0}"
#define V1(addr) "{\"type\":\"v1\",\"addr\":\"" addr ":6789\",\"nonce\":0}"

START_TEST(monitors)
{
	static const char dump[] = "{\"epoch\":1,\"mons\":["
		MON(V2("10.0.0.1"), V1("10.0.0.1")) ","
		MON(V2("[fd00::2]"), V1("[fd00::2]")) "]}";
	char *text = xlrbd__mon_addresses(dump, "v1");

	ck_assert_str_eq(text, "10.0.0.1:6789,[fd00::2]:6789");
	free(text);
	text = xlrbd__mon_addresses(dump, "v2");
	ck_assert_str_eq(text, "10.0.0.1:3300,[fd00::2]:3300");
	free(text);
	ck_assert_ptr_null(xlrbd__mon_addresses(dump, "v3"));
	ck_assert_ptr_null(xlrbd__mon_addresses("{}", "v1"));
	ck_assert_ptr_null(xlrbd__mon_addresses("not json", "v1"));
}
END_TEST

static const struct {
	const char *json;
	bool full;
} pools[] = {
	{ "[{\"pool_id\":2,\"flags_names\":\"hashpspool,full\"}]", true },
	{ "[{\"pool_id\":2,\"flags_names\":\"full,full_quota\"}]", true },
	{ "[{\"pool_id\":2,\"flags_names\":\"hashpspool\"}]", false },
	{ "[{\"pool_id\":2,\"flags_names\":\"nearfull\"}]", false },
	{ "[{\"pool_id\":3,\"flags_names\":\"full\"}]", false },
	{ "[]", false },
	{ "", false },
};

START_TEST(pool_is_full)
{
	ck_assert(xlrbd__mon_pool_is_full(pools[_i].json, 2) ==
		  pools[_i].full);
}
END_TEST

START_TEST(features)
{
	char names[256];

	xlrbd__feature_names(0x41, names, sizeof(names));
	ck_assert_str_eq(names, "layering, journaling");
	xlrbd__feature_names(UINT64_C(1) << 63, names, sizeof(names));
	ck_assert_str_eq(names, "bit-63");
	xlrbd__feature_names(0, names, sizeof(names));
	ck_assert_str_eq(names, "");
	/* Too small a buffer shortens the list. */
	xlrbd__feature_names(0x41, names, 12);
	ck_assert_str_eq(names, "layering");
}
END_TEST

START_TEST(escape_round_trip)
{
	char in[256], out[1024];
	int i;

	for (i = 1; i < 256; i++)
		in[i - 1] = (char)i;
	in[255] = '\0';
	ck_assert(xlrbd__escape(in, "", out, sizeof(out)));
	ck_assert_uint_eq(strspn(out, "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-%"), strlen(out));
	ck_assert(xlrbd__unescape(out));
	ck_assert_str_eq(out, in);
}
END_TEST

START_TEST(escape_needs_room)
{
	char out[4];

	ck_assert(xlrbd__escape("abc", "", out, 4));
	ck_assert(!xlrbd__escape("abcd", "", out, 4));
	ck_assert(xlrbd__escape(" ", "", out, 4));
	ck_assert(!xlrbd__escape(" a", "", out, 4));
	ck_assert(!xlrbd__escape("", "", out, 0));
}
END_TEST

static char logged[1024];

static void keep(void *data, int level, const char *message)
{
	ck_assert_ptr_eq(data, logged);
	ck_assert_int_eq(level, 3);
	strcpy(logged, message);
}

START_TEST(first_error_wins)
{
	struct xlrbd_ctx *ctx;

	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	xlrbd_set_log(ctx, 7, keep, logged);
	ck_assert_int_eq(xlrbd__fail(ctx, -EIO, "first\x01"), -EIO);
	ck_assert_int_eq(xlrbd__fail(ctx, -EBUSY, "second"), -EBUSY);
	ck_assert_str_eq(xlrbd_error(ctx), "first?");
	ck_assert_str_eq(logged, "second");
	xlrbd__begin(ctx);
	ck_assert_str_eq(xlrbd_error(ctx), "");
	xlrbd_free(ctx);
}
END_TEST

/* The one vbd, and what is known of it. */
static const struct xlrbd__vbd vbd = { .domid = 7, .devid = 51712 };

static const struct {
	const char *awaits;
	bool writable;
} prepared[] = {
	{ NULL, false },
	{ "rbd:web1", true },
	{ "rbd:web1", false },
	{ "rbd/team:\"web\\1\",id=x%2C,conf=/a b", true },
	{ "", true },
};

static void fill(struct xlrbd__record *record, size_t i)
{
	*record = (struct xlrbd__record){
		.image = { .fsid = "F", .pool_id = 4, .pool = "rbd",
			   .name = "web1", .id = "1234" },
		.device = { .id = 7, .major = 252, .minor = 112,
			    .since = INT64_C(1) << 40, .client_addr = "a:0/1" },
		.lock = { .name = "xlrbd", .client = "client.1",
			  .held = "xlrbd1,held" },
		.spec = { .id = "xen", .timeout_s = 20, .ephemeral = true },
		.line = "line", .awaits = (char *)prepared[i].awaits,
		.writable = prepared[i].writable,
	};
	/* It means nothing without that. */
	if (record->awaits)
		strcpy(record->uuid, "82de1d03-0000-4000-8000-000000000001");
}

START_TEST(record_round_trip)
{
	struct xlrbd__record in, out;
	struct xlrbd_ctx *ctx;

	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	fill(&in, _i);
	ck_assert_int_eq(xlrbd__run_write(ctx, &vbd, &in), 0);
	ck_assert_int_eq(xlrbd__run_read(ctx, &vbd, &out), 0);
	ck_assert_pstr_eq(out.awaits, in.awaits);
	ck_assert_str_eq(out.uuid, in.uuid);
	ck_assert(out.writable == in.writable);
	ck_assert_mem_eq(&out.device, &in.device, sizeof(in.device));
	ck_assert_mem_eq(&out.lock, &in.lock, sizeof(in.lock));
	ck_assert_str_eq(out.image.id, in.image.id);
	ck_assert_str_eq(out.spec.id, in.spec.id);
	ck_assert_uint_eq(out.spec.timeout_s, in.spec.timeout_s);
	ck_assert(out.spec.ephemeral);
	ck_assert_str_eq(out.line, in.line);
	xlrbd__record_dispose(&out);
	ck_assert_int_eq(xlrbd__run_delete(ctx, &vbd), 0);
	ck_assert_int_eq(xlrbd__run_read(ctx, &vbd, &out), -ENOENT);
	ck_assert_str_eq(xlrbd_error(ctx), "");
	ck_assert_int_eq(rmdir(XLRBD_RUN_DIR), 0);
	xlrbd_free(ctx);
}
END_TEST

/* Two domains' do not meet; and what is locked is no record. */
START_TEST(arrival_lock)
{
	struct xlrbd__deadline now;
	struct xlrbd__vbd *vbds;
	struct xlrbd_ctx *ctx;
	int one, other;
	size_t n;

	ck_assert_int_eq(xlrbd_new(&ctx), 0);
	xlrbd__deadline_set(&now, 0);
	ck_assert_int_eq(xlrbd__run_lock_arrival(ctx, "1", &now, &one), 0);
	ck_assert_int_eq(xlrbd__run_lock_arrival(ctx, "1", &now, &other),
			 -ETIMEDOUT);
	ck_assert_int_eq(xlrbd__run_lock_arrival(ctx, "2", &now, &other), 0);
	ck_assert_int_eq(xlrbd__run_list(ctx, &vbds, &n), 0);
	ck_assert_uint_eq(n, 0);
	free(vbds);
	xlrbd__run_unlock(one);
	ck_assert_int_eq(xlrbd__run_lock_arrival(ctx, "1", &now, &one), 0);
	xlrbd__run_unlock(one);
	xlrbd__run_unlock(other);
	/* Their files went with them. */
	ck_assert_int_eq(rmdir(XLRBD_RUN_DIR), 0);
	xlrbd_free(ctx);
}
END_TEST

Suite *files_suite(void)
{
	Suite *suite = suite_create("files");
	TCase *tcase = tcase_create("files");

	tcase_add_loop_test(tcase, keyring, 0, XLRBD__ARRAY_SIZE(keyrings));
	tcase_add_loop_test(tcase, blocklist, 0, XLRBD__ARRAY_SIZE(fences));
	tcase_add_test(tcase, blocklist_of_nothing);
	tcase_add_test(tcase, keyring_missing);
	tcase_add_test(tcase, monitors);
	tcase_add_loop_test(tcase, pool_is_full, 0, XLRBD__ARRAY_SIZE(pools));
	tcase_add_test(tcase, features);
	tcase_add_test(tcase, escape_round_trip);
	tcase_add_test(tcase, escape_needs_room);
	tcase_add_test(tcase, first_error_wins);
	tcase_add_loop_test(tcase, record_round_trip, 0,
			    XLRBD__ARRAY_SIZE(prepared));
	tcase_add_test(tcase, arrival_lock);
	suite_add_tcase(suite, tcase);
	return suite;
}
