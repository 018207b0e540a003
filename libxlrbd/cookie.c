// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A lock entry as text: the cookie of a cls_lock locker.
 *
 * It is the only record in the cluster of who holds an image, so it names
 * everything that somebody on another host has to know.  Twelve fields,
 * separated by commas, each percent-encoded, so that there are no blanks and
 * `rbd lock ls` shows it on one line:
 *
 *   xlrbd1,STATE,MODE,HOST,MACHINE-ID,BOOT-ID,DOMID,DEVID,UUID,TIME,ADDR,
 *   SNAPSHOT,DOMAIN
 *
 * DOMID is "7/5" for domain 7 if that is the stub domain of domain 5.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define COOKIE_VERSION "xlrbd1"

enum field {
	F_VERSION, F_STATE, F_MODE, F_HOST, F_MACHINE_ID, F_BOOT_ID, F_DOMID,
	F_DEVID, F_UUID, F_TIME, F_ADDR, F_SNAP, F_DOMAIN, N_FIELDS
};

static const char *const states[] = {
	[XLRBD_PENDING] = "pending",
	[XLRBD_HELD] = "held",
	[XLRBD_FENCED] = "fenced",
};

const char *xlrbd_state_name(enum xlrbd_state state)
{
	return (size_t)state < XLRBD__ARRAY_SIZE(states) ? states[state] : "";
}

void xlrbd__cookie_format(const struct xlrbd__cookie *cookie,
			  char out[XLRBD__COOKIE_MAX])
{
	char numbers[3][32];
	const char *fields[N_FIELDS] = {
		[F_VERSION] = COOKIE_VERSION,
		[F_STATE] = states[cookie->state],
		[F_MODE] = xlrbd_mode_name(cookie->mode),
		[F_HOST] = cookie->host.name,
		[F_MACHINE_ID] = cookie->host.machine_id,
		[F_BOOT_ID] = cookie->host.boot_id,
		[F_DOMID] = numbers[0],
		[F_DEVID] = numbers[1],
		[F_UUID] = cookie->uuid,
		[F_TIME] = numbers[2],
		[F_ADDR] = cookie->addr,
		[F_SNAP] = cookie->snap,
		[F_DOMAIN] = cookie->domain,
	};
	char *end = out + XLRBD__COOKIE_MAX;
	size_t i;

	snprintf(numbers[0], sizeof(numbers[0]),
		 cookie->target ? "%u/%u" : "%u", cookie->domid,
		 cookie->target);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", cookie->devid);
	snprintf(numbers[2], sizeof(numbers[2]), "%" PRId64, cookie->time);
	for (i = 0; i < N_FIELDS; i++) {
		/*
		 * Always fits: XLRBD__COOKIE_MAX is more than three times the
		 * sum of the two long fields, and the rest is short.
		 */
		if (!xlrbd__escape(fields[i], ":/", out, end - out))
			*out = '\0';
		out += strlen(out);
		if (i + 1 < N_FIELDS)
			*out++ = ',';
	}
}

static bool parse_state(const char *text, enum xlrbd_state *state_out)
{
	enum xlrbd_state state;

	for (state = XLRBD_PENDING; state <= XLRBD_FENCED; state++) {
		if (strcmp(text, states[state]) != 0)
			continue;
		*state_out = state;
		return true;
	}
	return false;
}

static bool parse_mode(const char *text, enum xlrbd_mode *mode_out)
{
	enum xlrbd_mode mode;

	for (mode = XLRBD_MODE_R; mode <= XLRBD_MODE_W_SHARED; mode++) {
		if (strcmp(text, xlrbd_mode_name(mode)) != 0)
			continue;
		*mode_out = mode;
		return true;
	}
	return false;
}

static bool parse_unsigned(const char *text, unsigned int *value_out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*value_out = (unsigned int)value;
	return end != text && !*end && value == *value_out;
}

/* "7", or "7/5" */
static bool parse_domid(char *text, struct xlrbd__cookie *cookie)
{
	char *target = strchr(text, '/');

	if (target)
		*target++ = '\0';
	return parse_unsigned(text, &cookie->domid) &&
	       (!target || parse_unsigned(target, &cookie->target));
}

static bool parse_time(const char *text, int64_t *value_out)
{
	char *end;

	*value_out = strtoll(text, &end, 10);
	return end != text && !*end;
}

static bool copy(const char *text, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "%s", text) < size;
}

/* It goes into commands to the monitors.  "10.0.0.1:0/77", "[fd00::1]:0/77" */
static bool copy_address(const char *text, char *out, size_t size)
{
	return copy(text, out, size) &&
	       text[strspn(text, "0123456789abcdefABCDEF.:/[]")] == '\0';
}

/* It is shown to people, and was written by whoever may write to the pool. */
static bool copy_text(const char *text, char *out, size_t size)
{
	bool fits = copy(text, out, size);

	xlrbd__printable(out);
	return fits;
}

static bool parse_fields(char *const fields[N_FIELDS], struct xlrbd__cookie *c)
{
	if (strcmp(fields[F_VERSION], COOKIE_VERSION) != 0)
		return false;
	return parse_state(fields[F_STATE], &c->state) &&
	       parse_mode(fields[F_MODE], &c->mode) &&
	       copy_text(fields[F_HOST], c->host.name, sizeof(c->host.name)) &&
	       copy(fields[F_MACHINE_ID], c->host.machine_id,
		    sizeof(c->host.machine_id)) &&
	       copy(fields[F_BOOT_ID], c->host.boot_id,
		    sizeof(c->host.boot_id)) &&
	       parse_domid(fields[F_DOMID], c) &&
	       parse_unsigned(fields[F_DEVID], &c->devid) &&
	       copy_text(fields[F_UUID], c->uuid, sizeof(c->uuid)) &&
	       parse_time(fields[F_TIME], &c->time) &&
	       copy_address(fields[F_ADDR], c->addr, sizeof(c->addr)) &&
	       copy(fields[F_SNAP], c->snap, sizeof(c->snap)) &&
	       copy_text(fields[F_DOMAIN], c->domain, sizeof(c->domain));
}

bool xlrbd__cookie_parse(const char *text, struct xlrbd__cookie *cookie_out)
{
	char buffer[XLRBD__COOKIE_MAX];
	char *fields[N_FIELDS];
	char *rest = buffer;
	size_t n = 0;

	memset(cookie_out, 0, sizeof(*cookie_out));
	if (!copy(text, buffer, sizeof(buffer)))
		return false;
	while (rest && n < N_FIELDS) {
		fields[n] = strsep(&rest, ",");
		if (!xlrbd__unescape(fields[n++]))
			return false;
	}
	return n == N_FIELDS && !rest && parse_fields(fields, cookie_out);
}
