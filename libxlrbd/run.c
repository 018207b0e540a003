// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What this host remembers in /run until it reboots: a record for each vbd,
 * and locks against other helpers.
 *
 * xenstore cannot serve: libxl deletes a disk's nodes whether remove worked
 * or not.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "lockfile.h"

static void record_path(const struct xlrbd__vbd *vbd, const char *suffix,
			char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, XLRBD_RUN_DIR "/vbd-%u-%u%s", vbd->domid,
		 vbd->devid, suffix);
}

static int fail_file(struct xlrbd_ctx *ctx, int r, const char *tried,
		     const char *path)
{
	return xlrbd__fail(ctx, r, "%s %s: %s", tried, path, strerror(-r));
}

static int make_run_dir(struct xlrbd_ctx *ctx)
{
	if (mkdir(XLRBD_RUN_DIR, 0700) < 0 && errno != EEXIST)
		return fail_file(ctx, -errno, "make", XLRBD_RUN_DIR);
	return 0;
}

int xlrbd__run_write(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const struct xlrbd__record *record)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	json_t *json;
	FILE *file;
	int rc;

	rc = make_run_dir(ctx);
	if (rc < 0)
		return rc;
	record_path(vbd, "", path);
	record_path(vbd, ".new", temporary);
	json = xlrbd__record_to_json(record);
	if (!json)
		return xlrbd__fail(ctx, -EINVAL,
				   "write %s: a name is not UTF-8", path);
	/* The directory is closed to others, so the mode does not matter. */
	file = fopen(temporary, "we");
	if (!file)
		rc = -errno;
	else if (json_dumpf(json, file, JSON_INDENT(2)) < 0 ||
		 putc('\n', file) == EOF)
		rc = -EIO;
	if (file && fclose(file) != 0 && !rc)
		rc = -errno;
	/* tmpfs, and meaningless after a crash: no fsync. */
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	json_decref(json);
	return rc ? fail_file(ctx, rc, "write", path) : 0;
}

int xlrbd__run_read(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		    struct xlrbd__record *record_out)
{
	json_error_t error;
	char path[PATH_MAX];
	json_t *json;
	bool ok;

	memset(record_out, 0, sizeof(*record_out));
	record_path(vbd, "", path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return -ENOENT;
	json = json_load_file(path, 0, &error);
	if (!json)
		return xlrbd__fail(ctx, -EIO, "read %s: %s", path, error.text);
	ok = xlrbd__record_from_json(json, record_out);
	json_decref(json);
	return ok ? 0 :
	       xlrbd__fail(ctx, -EIO, "read %s: not a record of this version",
			   path);
}

/*
 * Takes a file name of the directory apart, if it is about a vbd: its record,
 * or what a killed helper has left beside it.
 */
static bool parse_name(const char *name, struct xlrbd__vbd *vbd)
{
	char again[64];
	size_t length;

	memset(vbd, 0, sizeof(*vbd));
	if (sscanf(name, "vbd-%u-%u", &vbd->domid, &vbd->devid) != 2)
		return false;
	snprintf(again, sizeof(again), "vbd-%u-%u", vbd->domid, vbd->devid);
	snprintf(vbd->path, sizeof(vbd->path), "backend/vbd/%u/%u",
		 vbd->domid, vbd->devid);
	length = strlen(again);
	return !strncmp(name, again, length) &&
	       (!name[length] || name[length] == '.');
}

static bool is_listed(const struct xlrbd__vbd *vbds, size_t n,
		      const struct xlrbd__vbd *vbd)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(vbds[i].path, vbd->path))
			return true;
	return false;
}

int xlrbd__run_list(struct xlrbd_ctx *ctx, struct xlrbd__vbd **vbds_out,
		    size_t *n_out)
{
	struct xlrbd__vbd *vbds = NULL, *more, vbd;
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	*vbds_out = NULL;
	*n_out = 0;
	dir = opendir(XLRBD_RUN_DIR);
	if (!dir)
		return errno == ENOENT ? 0 :
		       fail_file(ctx, -errno, "read", XLRBD_RUN_DIR);
	while ((entry = readdir(dir))) {
		/* A vbd has up to three files. */
		if (!parse_name(entry->d_name, &vbd) ||
		    is_listed(vbds, n, &vbd))
			continue;
		more = realloc(vbds, (n + 1) * sizeof(*vbds));
		if (!more)
			break;
		vbds = more;
		vbds[n++] = vbd;
	}
	closedir(dir);
	*vbds_out = vbds;
	*n_out = n;
	return 0;
}

int xlrbd__run_delete(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd)
{
	static const char *const suffixes[] = { ".new", "" };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(suffixes); i++) {
		record_path(vbd, suffixes[i], path);
		if (unlink(path) < 0 && errno != ENOENT)
			return fail_file(ctx, -errno, "delete", path);
	}
	return 0;
}

static int lock_file(struct xlrbd_ctx *ctx, const char *path,
		     const struct xlrbd__deadline *deadline, int *fd_out)
{
	unsigned int pause_ms = 2;
	int rc;

	rc = make_run_dir(ctx);
	if (rc < 0)
		return rc;
	do
		rc = xlrbd__lockfile_take(path, true);
	while (rc == -EWOULDBLOCK &&
	       xlrbd__deadline_pause(deadline, &pause_ms, 100));
	if (rc == -EWOULDBLOCK)
		return xlrbd__fail(ctx, -ETIMEDOUT,
				   "wait for %s: another helper holds it; see `fuser -v %s`",
				   path, path);
	if (rc < 0)
		return fail_file(ctx, rc, "lock", path);
	*fd_out = rc;
	return 0;
}

int xlrbd__run_lock_vbd(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
			const struct xlrbd__deadline *deadline, int *fd_out)
{
	char path[PATH_MAX];

	record_path(vbd, ".lock", path);
	return lock_file(ctx, path, deadline, fd_out);
}

int xlrbd__run_lock_image(struct xlrbd_ctx *ctx,
			  const struct xlrbd__image *image,
			  const struct xlrbd__deadline *deadline, int *fd_out)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path),
		 XLRBD_RUN_DIR "/image-%s-%" PRId64 "-%s.lock", image->fsid,
		 image->pool_id, image->id);
	return lock_file(ctx, path, deadline, fd_out);
}

int xlrbd__run_lock_arrival(struct xlrbd_ctx *ctx, const char *uuid,
			    const struct xlrbd__deadline *deadline,
			    int *fd_out)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), XLRBD_RUN_DIR "/arrival-%s.lock", uuid);
	return lock_file(ctx, path, deadline, fd_out);
}

void xlrbd__run_unlock(int fd)
{
	xlrbd__lockfile_drop(fd);
}
