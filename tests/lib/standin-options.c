// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The line that is written to /sys/bus/rbd/add_single_major:
 *
 *	MON[,MON...] OPTION[,OPTION...] POOL IMAGE [SNAP|-]
 *
 * parsed by the kernel's rules (linux 6.1: rbd_add_parse_args(),
 * rbd_parameters[], ceph_parameters[] and fs_parse()).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define SPACES " \f\n\r\t\v"
#define SNAP_NAME_MAX 250	/* RBD_MAX_SNAP_NAME_LEN */

enum kind {
	FLAG,
	FLAG_NO,		/* may have "no" in front */
	NUMBER,
	STRING,
	WORD,			/* one of those in words */
};

struct option {
	const char *name;
	enum kind kind;
	bool shared;		/* libceph's: decides on sharing a client */
	const char *words;	/* "|a|b|" */
	unsigned int min, max;
};

static const struct option options[] = {
	{ "abort_on_full",	FLAG,	true, NULL, 0, 0 },
	{ "cephx_require_signatures", FLAG_NO, true, NULL, 0, 0 },
	{ "cephx_sign_messages", FLAG_NO, true, NULL, 0, 0 },
	{ "crc",		FLAG_NO, true, NULL, 0, 0 },
	{ "crush_location",	STRING,	true, NULL, 0, 0 },
	{ "fsid",		STRING,	true, NULL, 0, 0 },
	{ "ip",			STRING,	true, NULL, 0, 0 },
	{ "key",		STRING,	true, NULL, 0, 0 },
	{ "mount_timeout",	NUMBER,	true, NULL, 0, INT_MAX / 1000 },
	{ "name",		STRING,	true, NULL, 0, 0 },
	{ "osd_idle_ttl",	NUMBER,	true, NULL, 0, INT_MAX / 1000 },
	{ "osd_request_timeout", NUMBER, true, NULL, 0, INT_MAX / 1000 },
	{ "osdkeepalive",	NUMBER,	true, NULL, 1, INT_MAX / 1000 },
	{ "read_from_replica",	WORD,	true, "|no|balance|localize|", 0, 0 },
	{ "ms_mode",		WORD,	true,
	  "|legacy|crc|secure|prefer-crc|prefer-secure|", 0, 0 },
	{ "rxbounce",		FLAG,	true, NULL, 0, 0 },
	{ "secret",		STRING,	true, NULL, 0, 0 },
	{ "share",		FLAG_NO, true, NULL, 0, 0 },
	{ "tcp_nodelay",	FLAG_NO, true, NULL, 0, 0 },
	{ "alloc_size",		NUMBER,	false, NULL, 512, UINT_MAX },
	{ "compression_hint",	WORD,	false,
	  "|none|compressible|incompressible|", 0, 0 },
	{ "exclusive",		FLAG,	false, NULL, 0, 0 },
	{ "lock_on_read",	FLAG,	false, NULL, 0, 0 },
	{ "lock_timeout",	NUMBER,	false, NULL, 0, INT_MAX / 1000 },
	{ "notrim",		FLAG,	false, NULL, 0, 0 },
	{ "_pool_ns",		STRING,	false, NULL, 0, 0 },
	{ "queue_depth",	NUMBER,	false, NULL, 1, UINT_MAX },
	{ "read_only",		FLAG,	false, NULL, 0, 0 },
	{ "read_write",		FLAG,	false, NULL, 0, 0 },
	{ "ro",			FLAG,	false, NULL, 0, 0 },
	{ "rw",			FLAG,	false, NULL, 0, 0 },
};

static const struct option *find_option(const char *name, bool *negated)
{
	size_t i;

	*negated = false;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!strcmp(name, options[i].name))
			return &options[i];
		if (options[i].kind == FLAG_NO && !strncmp(name, "no", 2) &&
		    !strcmp(name + 2, options[i].name)) {
			*negated = true;
			return &options[i];
		}
	}
	return NULL;
}

static int parse_number(const struct option *option, const char *value,
			unsigned int *out)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 0);
	if (errno || end == value || *end || *value == '-' ||
	    number < option->min || number > option->max)
		return -EINVAL;
	/* is_power_of_2() */
	if (!strcmp(option->name, "alloc_size") && (number & (number - 1)))
		return -EINVAL;
	*out = number;
	return 0;
}

static int check_value(const struct option *option, const char *value,
		       unsigned int *number)
{
	char word[64];

	switch (option->kind) {
	case FLAG:
	case FLAG_NO:
		return value ? -EINVAL : 0;
	case NUMBER:
		return value ? parse_number(option, value, number) : -EINVAL;
	case STRING:
		return value && *value ? 0 : -EINVAL;
	case WORD:
		if (!value || strchr(value, '|'))
			return -EINVAL;
		snprintf(word, sizeof(word), "|%s|", value);
		return strstr(option->words, word) ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int keep_string(char *out, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return -EINVAL;
	strcpy(out, value);
	return 0;
}

/* The few options that mean something to us. */
static int keep_option(struct request *request, const char *name,
		       const char *value, unsigned int number, bool negated,
		       pid_t tid)
{
	if (!strcmp(name, "name"))
		return keep_string(request->name, sizeof(request->name),
				   value);
	if (!strcmp(name, "_pool_ns"))
		return keep_string(request->ns, sizeof(request->ns), value);
	if (!strcmp(name, "secret"))
		return keep_string(request->secret, sizeof(request->secret),
				   value);
	/* Whatever request_key() says, get_secret() returns EPERM. */
	if (!strcmp(name, "key"))
		return key_find(tid, value, request->secret,
				sizeof(request->secret)) ? 0 : -EPERM;
	if (!strcmp(name, "mount_timeout"))
		request->mount_timeout = number;
	else if (!strcmp(name, "lock_timeout"))
		request->lock_timeout = number;
	else if (!strcmp(name, "osd_request_timeout"))
		request->osd_request_timeout = number;
	else if (!strcmp(name, "share"))
		request->noshare = negated;
	else if (!strcmp(name, "ms_mode"))
		request->msgr2 = strcmp(value, "legacy") != 0;
	else if (!strcmp(name, "ro") || !strcmp(name, "read_only"))
		request->read_only = true;
	else if (!strcmp(name, "rw") || !strcmp(name, "read_write"))
		request->read_only = false;
	else if (!strcmp(name, "exclusive"))
		request->exclusive = true;
	else if (!strcmp(name, "lock_on_read"))
		request->lock_on_read = true;
	return 0;
}

static int parse_option(struct request *request, char *text, pid_t tid)
{
	const struct option *option;
	unsigned int number = 0;
	size_t length = strlen(request->shared);
	char *value = strchr(text, '=');
	bool negated;
	int r;

	if (value)
		*value++ = '\0';
	option = find_option(text, &negated);
	if (!option)
		return -EINVAL;
	r = check_value(option, value, &number);
	if (r < 0)
		return r;
	/* In the order given: only block-rbd compares with itself. */
	if (option->shared)
		snprintf(request->shared + length,
			 sizeof(request->shared) - length, "%s=%s,", text,
			 value ? value : "");
	return keep_option(request, option->name, value, number, negated, tid);
}

static int parse_options(struct request *request, char *text, pid_t tid)
{
	char *option;
	int r;

	while ((option = strsep(&text, ","))) {
		if (!*option || *option == '=')
			continue;
		r = parse_option(request, option, tid);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ceph_parse_ips(): addresses with or without port, no names. */
static int check_monitors(const char *text)
{
	char *copy = strdup(text), *rest = copy, *mon;
	unsigned char binary[16];
	int r = copy ? 0 : -ENOMEM;

	while (!r && (mon = strsep(&rest, ","))) {
		char *port = strrchr(mon, ':');
		char *end = strchr(mon, ']');

		if (*mon == '[' && end) {
			*end = '\0';
			if (inet_pton(AF_INET6, mon + 1, binary) != 1)
				r = -EINVAL;
			continue;
		}
		if (port)
			*port = '\0';
		if (inet_pton(AF_INET, mon, binary) != 1 ||
		    (port && (atoi(port + 1) < 1 || atoi(port + 1) > 65535)))
			r = -EINVAL;
	}
	free(copy);
	return r;
}

static char *next_token(const char **text)
{
	size_t length;
	char *token;

	*text += strspn(*text, SPACES);
	length = strcspn(*text, SPACES);
	token = strndup(*text, length);
	*text += length;
	return token;
}

int request_parse(struct request *request, const char *text, pid_t tid)
{
	char *opts;
	int r = 0;

	memset(request, 0, sizeof(*request));
	request->mount_timeout = 60;
	request->line = strdup(text);
	request->mons = next_token(&text);
	opts = next_token(&text);
	request->pool = next_token(&text);
	request->image = next_token(&text);
	request->snap = next_token(&text);
	if (!*request->mons || !*opts || !*request->pool || !*request->image)
		r = -EINVAL;
	else if (strlen(request->snap) > SNAP_NAME_MAX)
		r = -ENAMETOOLONG;
	if (!r)
		r = check_monitors(request->mons);
	if (!r)
		r = parse_options(request, opts, tid);
	free(opts);
	if (!r && !*request->snap) {
		free(request->snap);
		request->snap = strdup("-");
	}
	if (!r && strcmp(request->snap, "-"))
		request->read_only = true;
	return r;
}

void request_dispose(struct request *request)
{
	free(request->line);
	free(request->mons);
	free(request->pool);
	free(request->image);
	free(request->snap);
	memset(request, 0, sizeof(*request));
}
