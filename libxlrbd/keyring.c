// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A cephx key out of a keyring file.
 *
 * librados reads the same file for itself but gives the key to nobody, and
 * the kernel needs it too.
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct search {
	const char *entity;
	char *out;
	size_t size;
	bool found;
};

/*
 * Keyrings indent their entries, which inih would take for continuation
 * lines; and their caps can be longer than inih's line buffer, which does not
 * matter to us.
 */
static char *read_unindented(char *line, int size, void *stream)
{
	size_t blanks;

	if (!fgets(line, size, stream))
		return NULL;
	blanks = strspn(line, " \t");
	memmove(line, line + blanks, strlen(line + blanks) + 1);
	return line;
}

static int take(void *user, const char *section, const char *name,
		const char *value)
{
	struct search *search = user;

	if (!search->found && !strcmp(section, search->entity) &&
	    !strcmp(name, "key") && strlen(value) < search->size) {
		strcpy(search->out, value);
		search->found = true;
	}
	return 1;
}

static int read_file(const char *path, struct search *search)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	/* A line that is no INI is no concern of ours: the key is, or not. */
	ini_parse_stream(read_unindented, file, take, search);
	fclose(file);
	return search->found ? 0 : -ENOENT;
}

int xlrbd__keyring_read(const char *paths, const char *entity, char *out,
			size_t size)
{
	struct search search = { .entity = entity, .out = out, .size = size };
	char *copy, *rest, *path;
	int rc = -ENOENT;

	copy = rest = strdup(paths);
	if (!copy)
		return -ENOMEM;
	/* As librados: the first file of the list that can be opened. */
	while (rc == -ENOENT && (path = strsep(&rest, ",; \t")))
		if (*path)
			rc = read_file(path, &search);
	free(copy);
	return rc;
}
