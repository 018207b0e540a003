// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ceph-clone.c's images and notes, by name.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"

static char *find_image(const char *name)
{
	size_t length = strlen(name);
	char *p = fake.images;

	while ((p = strstr(p, name))) {
		if ((p == fake.images || p[-1] == ',') && p[length] == ',')
			return p;
		p++;
	}
	return NULL;
}

int xlrbd__ceph_image_exists(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			     const struct xlrbd_spec *spec, const char *name)
{
	int rc = fake_step(ctx, "exists?");

	(void)ceph;
	(void)spec;
	return rc < 0 ? rc : find_image(name) != NULL;
}

int xlrbd__ceph_image_still(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *what)
{
	(void)ceph;
	(void)image;
	(void)what;
	return fake_step(ctx, "still?");
}

int xlrbd__ceph_note_lock(struct xlrbd__ceph *ceph, const char *name,
			  unsigned int seconds)
{
	int rc = fake_step(NULL, "note-lock");

	(void)ceph;
	(void)name;
	if (seconds <= XLRBD_TIMEOUT_MAX)
		return -EINVAL;
	return !rc && fake.note_is_locked ? -EBUSY : rc;
}

int xlrbd__ceph_note_write(struct xlrbd__ceph *ceph, const char *name,
			   const char *text)
{
	int rc = fake_step(NULL, "note");

	(void)ceph;
	(void)name;
	(void)text;
	if (!rc)
		fake.noted = true;
	return rc;
}

int xlrbd__ceph_note_read(struct xlrbd__ceph *ceph, const char *name,
			  char *out, size_t size)
{
	int rc = fake_step(NULL, "note?");

	(void)ceph;
	(void)name;
	snprintf(out, size, "%s", fake.noted ? "1700000000 debian@v1" : "");
	return rc < 0 ? rc : fake.noted;
}

int xlrbd__ceph_note_unlock(struct xlrbd__ceph *ceph, const char *name)
{
	(void)ceph;
	(void)name;
	return fake_step(NULL, "note-unlock");
}

int xlrbd__ceph_note_remove(struct xlrbd__ceph *ceph, const char *name)
{
	int rc = fake_step(NULL, "note-remove");

	(void)ceph;
	(void)name;
	if (!rc)
		fake.noted = false;
	return rc;
}

int xlrbd__ceph_clone(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *from, const char *from_name,
		      const char *name, uint64_t size, const char *mark)
{
	char step[256];
	int rc;

	(void)ceph;
	(void)from_name;
	snprintf(step, sizeof(step), "clone:%s/%s/%s@%s", from->pool,
		 from->ns ? from->ns : "", from->image, from->snap);
	strcat(strcat(fake.images, name), ",");
	fake.size = size;
	rc = fake_step(ctx, step);
	if (!rc)
		snprintf(fake.mark, sizeof(fake.mark), "%s", mark);
	return rc;
}

int xlrbd__ceph_clone_mark(struct xlrbd__ceph *ceph, const char *id,
			   char *out, size_t size)
{
	int rc = fake_step(NULL, "mark?");

	(void)ceph;
	(void)id;
	snprintf(out, size, "%s", fake.mark);
	return rc < 0 ? rc : fake.mark[0] ? 0 : -ENOENT;
}

int xlrbd__ceph_grow(struct xlrbd__ceph *ceph, const char *id, uint64_t size)
{
	(void)ceph;
	(void)id;
	fake.size = size;
	return fake_step(NULL, "grow");
}

static void forget_image(const char *name)
{
	char *p = find_image(name);

	if (p)
		memmove(p, p + strlen(name) + 1, strlen(p) - strlen(name));
}

int xlrbd__ceph_remove_made(struct xlrbd__ceph *ceph, const char *name,
			    int64_t since, unsigned int seconds)
{
	int rc = fake_step(NULL, "remove-made");
	bool found = find_image(name) != NULL;

	(void)ceph;
	(void)since;
	(void)seconds;
	if (rc < 0)
		return rc;
	if (found && fake.made_at_another_time)
		return -EEXIST;
	forget_image(name);
	return found;
}

int xlrbd__ceph_trash_image(struct xlrbd__ceph *ceph, const char *name,
			    const char *id)
{
	int rc = fake_step(NULL, "trash");

	(void)ceph;
	(void)id;
	if (rc < 0)
		return rc;
	if (fake.watched)
		return -EBUSY;
	forget_image(name);
	fake.mark[0] = '\0';
	return 0;
}
