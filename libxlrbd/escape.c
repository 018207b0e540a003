// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Percent-encoding, for what disk targets and lock cookies cannot hold.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "internal.h"

static bool is_plain(char c, const char *keep)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("._-", c)) ||
	       (c && strchr(keep, c));
}

bool xlrbd__escape(const char *text, const char *keep, char *out, size_t size)
{
	size_t used = 0;

	for (; *text; text++) {
		bool plain = is_plain(*text, keep);

		if (used + (plain ? 1 : 3) >= size)
			return false;
		if (plain)
			out[used++] = *text;
		else
			used += sprintf(out + used, "%%%02X",
					(unsigned char)*text);
	}
	if (used >= size)
		return false;
	out[used] = '\0';
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool xlrbd__unescape(char *text)
{
	char *in = text, *out = text;

	while (*in) {
		int high, low;

		if (*in != '%') {
			*out++ = *in++;
			continue;
		}
		high = hex_digit(in[1]);
		low = high < 0 ? -1 : hex_digit(in[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high << 4 | low);
		in += 3;
	}
	*out = '\0';
	return true;
}
