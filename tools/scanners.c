// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * LVM and multipath in domain 0: would they open guests' disks?  Their own
 * programs say how they are configured.
 */
#include "config.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

#define DEVICE		"rbd0"
#define LVM_DEVICES	"/etc/lvm/devices/system.devices"

/* What it prints; NULL if it is not installed, or fails. */
static char *ask(const char *const argv[])
{
	char *text = NULL;

	if (!access(argv[0], X_OK) && program_output(argv, &text)) {
		free(text);
		text = NULL;
	}
	return text;
}

static bool matches(const char *pattern, const char *text)
{
	regex_t regex;
	bool match;

	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	match = !regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	return match;
}

/* What is between the next two quotes; @at goes behind them.  Changes the text. */
static char *next_quoted(char **at)
{
	char *begin = strchr(*at, '"'), *end;

	end = begin ? strchr(begin + 1, '"') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return begin + 1;
}

/*
 * filter=["a|^/dev/sd|","r|.*|"]: the first pattern that matches counts, and
 * without one the device is taken (lvm.conf(5)).
 */
static bool filter_takes(char *line)
{
	char *pattern, *end;

	while ((pattern = next_quoted(&line))) {
		/* Its letter, and its delimiter at either end. */
		end = pattern[0] && pattern[1] ?
		      strrchr(pattern + 2, pattern[1]) : NULL;
		if (!end)
			continue;
		*end = '\0';
		if (matches(pattern + 2, "/dev/" DEVICE))
			return pattern[0] == 'a';
	}
	return true;
}

bool lvm_takes_guests_disks(void)
{
	const char *argv[] = {
		"/usr/sbin/lvmconfig", "--type", "full", "devices", NULL
	};
	char *text, *line, *rest;
	bool takes;

	/* Descriptors that our caller has are none of its business. */
	setenv("LVM_SUPPRESS_FD_WARNINGS", "1", 0);
	text = rest = ask(argv);
	takes = text;
	while (takes && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (!strncmp(line, "filter=", 7) ||
		    !strncmp(line, "global_filter=", 14))
			takes = filter_takes(line);
		/* Then it looks at no others (lvmdevices(8)). */
		else if (!strcmp(line, "use_devicesfile=1"))
			takes = access(LVM_DEVICES, F_OK) < 0;
	}
	free(text);
	return takes;
}

/* "!" in front is for all that does not match (multipath.conf(5)). */
static bool is_listed(const char *pattern)
{
	return pattern[0] == '!' ? !matches(pattern + 1, DEVICE) :
				   matches(pattern, DEVICE);
}

bool multipath_takes_guests_disks(void)
{
	const char *argv[] = { "/usr/sbin/multipath", "-t", NULL };
	bool listed = false, excepted = false;
	char *text = ask(argv), *line, *rest = text, *pattern;
	const char *section = "";

	while ((line = strsep(&rest, "\n"))) {
		if (*line && *line != '\t')
			section = line;
		if (strncmp(line, "\tdevnode ", 9) != 0 ||
		    !(pattern = next_quoted(&line)) || !is_listed(pattern))
			continue;
		if (!strcmp(section, "blacklist {"))
			listed = true;
		else if (!strcmp(section, "blacklist_exceptions {"))
			excepted = true;
	}
	listed = !text || (listed && !excepted);
	free(text);
	return !listed;
}
