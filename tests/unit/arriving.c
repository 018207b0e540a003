// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <check.h>
#include <limits.h>
#include <string.h>

#include "arriving.h"

struct arriving arriving;

void forget_journal(void)
{
	fake.journal[0] = '\0';
	fake.n_steps = 0;
}

bool did(const char *steps)
{
	return strstr(fake.journal, steps) != NULL;
}

void expect_untouched(void)
{
	ck_assert_msg(!did("unmap") && !did("break-") && !did("forget"), "%s",
		      fake.journal);
}

void expect_prepared(void)
{
	expect_nothing_open();
	ck_assert(fake.mapped && fake.recorded && !fake.published_by_us);
	ck_assert_uint_eq(fake_count("held"), 1);
	ck_assert_uint_eq(fake_count("pending"), 0);
	ck_assert_str_eq(fake.awaits, TARGET);
	ck_assert_str_eq(fake.record.uuid, UUID_1);
}

int arriving_begin(void)
{
	forget_journal();
	return xlrbd_arrival_begin(arriving.ctx, "web1", UUID_1, 1,
				   &arriving.arrival);
}

void arriving_prepare(void)
{
	forget_journal();
	ck_assert_int_eq(xlrbd_arrival_prepare(arriving.arrival,
					       &arriving.disk), 0);
	expect_prepared();
	forget_journal();
}

int arriving_add(void)
{
	fake.vbd_exists = true;
	forget_journal();
	return xlrbd_vbd_add(arriving.ctx, PATH);
}

int arriving_end(void)
{
	struct xlrbd_arrival *arrival = arriving.arrival;

	arriving.arrival = NULL;
	forget_journal();
	return xlrbd_arrival_end(arrival);
}

void arriving_die(void)
{
	fake.dead_from = 0;
	ck_assert_int_lt(arriving_end(), 0);
	fake.dead_from = INT_MAX;
	ck_assert(!fake.arrival_locked);
	forget_journal();
}

void arriving_setup(void)
{
	fake_reset();
	memset(&arriving, 0, sizeof(arriving));
	ck_assert_int_eq(xlrbd_new(&arriving.ctx), 0);
	arriving.disk = (struct xlrbd_disk){
		.target = TARGET, .vdev = "xvda", .devid = 51712,
		.writable = 1, .image = IMAGE,
	};
	/* What the domain is called when it is there. */
	strcpy(fake.domain, "web1--incoming");
	ck_assert_int_eq(arriving_begin(), 0);
	ck_assert_str_eq(fake.journal, "lock-arrival list-records");
	ck_assert(fake.arrival_locked);
	forget_journal();
}

void arriving_teardown(void)
{
	if (arriving.arrival)
		arriving_die();
	xlrbd_free(arriving.ctx);
}
