// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Files in /run that say what is going on, each locked by the process that is
 * at it: whoever can lock one knows that this process has died.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lockfile.h"
#include "xlrbd.h"

static void make_path(const char *name, char out[RUN_PATH_MAX])
{
	char *p = out + sizeof(XLRBD_RUN_DIR);

	snprintf(out, RUN_PATH_MAX, XLRBD_RUN_DIR "/%s", name);
	/* Domains may have any names. */
	while ((p = strchr(p, '/')))
		*p = '%';
}

int run_file_take(const char *name, bool make)
{
	char path[RUN_PATH_MAX];
	int fd;

	mkdir(XLRBD_RUN_DIR, 0700);
	make_path(name, path);
	fd = xlrbd__lockfile_take(path, make);
	if (fd >= 0)
		return fd;
	errno = -fd;
	return -1;
}

void run_file_drop(int fd)
{
	xlrbd__lockfile_drop(fd);
}

json_t *run_file_read(const char *name)
{
	char path[RUN_PATH_MAX];

	make_path(name, path);
	return json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
}

int run_files(const char *prefix, int (*fn)(void *data, const char *name),
	      void *data)
{
	DIR *dir = opendir(XLRBD_RUN_DIR);
	struct dirent *entry;
	int rc = DONE;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    fn(data, entry->d_name))
			rc = FAILED;
	if (dir)
		closedir(dir);
	return rc;
}
