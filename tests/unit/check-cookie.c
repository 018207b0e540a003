// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <check.h>
#include <string.h>

#include "internal.h"
#include "unit.h"

#define BOOT_ID	"c9b1b1f0-5c1c-4d0c-9c39-0d6b6a1f3a52"
#define UUID	"82de1d03-1111-4222-8333-444455556666"
#define MACHINE	"0123456789abcdef0123456789abcdef"

static const struct xlrbd__cookie example = {
	.state = XLRBD_HELD,
	.mode = XLRBD_MODE_W_SHARED,
	.host = { "xen2", MACHINE, BOOT_ID },
	.domid = 12, .devid = 51712,
	.uuid = UUID,
	.time = 1700000000,
	.addr = "10.77.0.12:0/2510627191",
	.domain = "web 1,\xc3\xa9",
};

#define EXAMPLE "xlrbd1,held,w%21,xen2," MACHINE "," BOOT_ID ",12,51712," \
	UUID ",1700000000,10.77.0.12:0/2510627191,,web%201%2C%C3%A9"

START_TEST(formats)
{
	char text[XLRBD__COOKIE_MAX];

	xlrbd__cookie_format(&example, text);
	ck_assert_str_eq(text, EXAMPLE);
}
END_TEST

START_TEST(parses)
{
	struct xlrbd__cookie cookie;
	char text[XLRBD__COOKIE_MAX];

	ck_assert(xlrbd__cookie_parse(EXAMPLE, &cookie));
	ck_assert_str_eq(cookie.domain, example.domain);
	ck_assert_str_eq(cookie.addr, example.addr);
	ck_assert_int_eq(cookie.mode, XLRBD_MODE_W_SHARED);
	xlrbd__cookie_format(&cookie, text);
	ck_assert_str_eq(text, EXAMPLE);
}
END_TEST

START_TEST(stub_domain)
{
	struct xlrbd__cookie cookie = example, again;
	char text[XLRBD__COOKIE_MAX];

	cookie.target = 5;
	xlrbd__cookie_format(&cookie, text);
	ck_assert_ptr_nonnull(strstr(text, ",12/5,51712,"));
	ck_assert(xlrbd__cookie_parse(text, &again));
	ck_assert_uint_eq(again.domid, 12);
	ck_assert_uint_eq(again.target, 5);
}
END_TEST

START_TEST(longest)
{
	struct xlrbd__cookie cookie = example, again;
	char text[XLRBD__COOKIE_MAX];

	memset(cookie.snap, ',', sizeof(cookie.snap) - 1);
	memset(cookie.domain, '\xff', sizeof(cookie.domain) - 1);
	memset(cookie.host.name, ' ', sizeof(cookie.host.name) - 1);
	memset(cookie.addr, '1', sizeof(cookie.addr) - 1);
	xlrbd__cookie_format(&cookie, text);
	ck_assert(xlrbd__cookie_parse(text, &again));
	ck_assert_str_eq(again.snap, cookie.snap);
	ck_assert_str_eq(again.domain, cookie.domain);
	ck_assert_str_eq(again.host.name, cookie.host.name);
}
END_TEST

#define ID MACHINE "," BOOT_ID

static const char *const strangers[] = {
	"",
	"auto 94",
	"xlrbd1",
	"xlrbd2,held,w,xen2," ID ",1,51712," UUID ",0,,,web1",
	"xlrbd1,lost,w,xen2," ID ",1,51712," UUID ",0,,,web1",
	"xlrbd1,held,,xen2," ID ",1,51712," UUID ",0,,,web1",
	"xlrbd1,held,rw,xen2," ID ",1,51712," UUID ",0,,,web1",
	"xlrbd1,held,w,xen2," ID ",,51712," UUID ",0,,,web1",
	"xlrbd1,held,w,xen2," ID ",1,x," UUID ",0,,,web1",
	"xlrbd1,held,w,xen2," ID ",99999999999,1," UUID ",0,,,web1",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID "0,0,,,web1",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",now,,,web1",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",0,,,web%",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",0,,",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",0,,,web1,more",
	"xlrbd1,held,w,xen2,0" ID ",1,51712," UUID ",0,,,web1",
	/* It would go into a command to the monitors. */
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",0,10.0.0.2:0/7\"%2c\"x\":\",,web1",
	"xlrbd1,held,w,xen2," ID ",1,51712," UUID ",0,10.0.0.2:0/7%20,,web1",
};

START_TEST(stranger)
{
	struct xlrbd__cookie cookie;

	ck_assert(!xlrbd__cookie_parse(strangers[_i], &cookie));
}
END_TEST

/* Written by somebody else, for a terminal to obey. */
START_TEST(control_characters)
{
	struct xlrbd__cookie cookie;

	ck_assert(xlrbd__cookie_parse("xlrbd1,held,w,x%1B[2J," ID
				      ",1,51712," UUID
				      ",0,,,a%1B[31m%c2%9bb%c3%a9", &cookie));
	ck_assert_str_eq(cookie.host.name, "x?[2J");
	ck_assert_str_eq(cookie.domain, "a?[31m??b\xc3\xa9");
}
END_TEST

START_TEST(too_long)
{
	struct xlrbd__cookie cookie;
	char text[XLRBD__COOKIE_MAX + 10];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert(!xlrbd__cookie_parse(text, &cookie));
}
END_TEST

Suite *cookie_suite(void)
{
	Suite *suite = suite_create("cookie");
	TCase *tcase = tcase_create("cookie");

	tcase_add_test(tcase, formats);
	tcase_add_test(tcase, parses);
	tcase_add_test(tcase, stub_domain);
	tcase_add_test(tcase, longest);
	tcase_add_loop_test(tcase, stranger, 0, XLRBD__ARRAY_SIZE(strangers));
	tcase_add_test(tcase, control_characters);
	tcase_add_test(tcase, too_long);
	suite_add_tcase(suite, tcase);
	return suite;
}
