// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context: the sentence about the last failure, and the log.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "internal.h"

int xlrbd_new(struct xlrbd_ctx **ctx_out)
{
	struct xlrbd_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return -ENOMEM;
	*ctx_out = ctx;
	return 0;
}

void xlrbd_free(struct xlrbd_ctx *ctx)
{
	free(ctx);
}

void xlrbd_set_log(struct xlrbd_ctx *ctx, int level, xlrbd_log_fn *fn,
		   void *data)
{
	ctx->log_level = level;
	ctx->log_fn = fn;
	ctx->log_data = data;
}

void xlrbd_set_final(struct xlrbd_ctx *ctx)
{
	ctx->final = true;
}

const char *xlrbd_error(const struct xlrbd_ctx *ctx)
{
	return ctx->error;
}

const char *xlrbd_version(void)
{
	return PACKAGE_VERSION;
}

void xlrbd__begin(struct xlrbd_ctx *ctx)
{
	ctx->error[0] = '\0';
	ctx->failed = false;
}

void xlrbd__time_text(int64_t when, char out[XLRBD__TIME_MAX])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    !strftime(out, XLRBD__TIME_MAX, "%Y-%m-%d %H:%M", &tm))
		strcpy(out, "?");
}

void xlrbd__printable(char *text)
{
	unsigned char *p;

	/* Bytes above 0x7f are kept: names may be UTF-8. */
	for (p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';	/* U+0080 to U+009F */
}

static void log_va(struct xlrbd_ctx *ctx, int level, const char *format,
		   va_list ap)
{
	char message[sizeof(ctx->error)];

	if (!ctx->log_fn || level > ctx->log_level)
		return;
	vsnprintf(message, sizeof(message), format, ap);
	xlrbd__printable(message);
	ctx->log_fn(ctx->log_data, level, message);
}

int xlrbd__fail(struct xlrbd_ctx *ctx, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (ctx->failed) {
		log_va(ctx, LOG_ERR, format, ap);
	} else {
		vsnprintf(ctx->error, sizeof(ctx->error), format, ap);
		xlrbd__printable(ctx->error);
		ctx->failed = true;
	}
	va_end(ap);
	return rc;
}

int xlrbd__fail_nomem(struct xlrbd_ctx *ctx)
{
	return xlrbd__fail(ctx, -ENOMEM, "out of memory");
}

void xlrbd__log(struct xlrbd_ctx *ctx, int level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_va(ctx, level, format, ap);
	va_end(ap);
}
