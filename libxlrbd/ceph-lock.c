// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * cls_lock: the locks on an image's header object (ceph: cls_lock.cc).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ceph.h"

/* The object whose cls_locks are the image's (ceph: RBD_HEADER_PREFIX). */
static void header_of(const struct xlrbd__image *image, char out[80])
{
	snprintf(out, 80, "rbd_header.%s", image->id);
}

int xlrbd__ceph_lock_shared(struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *name,
			    const char *tag, const char *cookie)
{
	char header[80];

	header_of(image, header);
	xlrbd__ceph_arm(ceph);
	return rados_lock_shared(ceph->io, header, name, cookie, tag, "", NULL,
				 0);
}

int xlrbd__ceph_lock_break(struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *name,
			   const char *client, const char *cookie)
{
	char header[80];

	header_of(image, header);
	xlrbd__ceph_arm(ceph);
	return rados_break_lock(ceph->io, header, name, client, cookie);
}

/* The three lists come as strings laid end to end. */
static int split_lists(ssize_t n, const char *clients, const char *cookies,
		       const char *addrs, struct xlrbd__lockers *lockers)
{
	ssize_t i;

	lockers->v = calloc(n ? n : 1, sizeof(*lockers->v));
	if (!lockers->v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct xlrbd__locker *locker = &lockers->v[lockers->n++];

		locker->client = strdup(clients);
		locker->cookie = strdup(cookies);
		locker->addr = strdup(addrs);
		if (!locker->client || !locker->cookie || !locker->addr)
			return -ENOMEM;
		clients += strlen(clients) + 1;
		cookies += strlen(cookies) + 1;
		addrs += strlen(addrs) + 1;
	}
	return 0;
}

int xlrbd__ceph_lock_list(struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image, const char *name,
			  struct xlrbd__lockers *lockers_out)
{
	size_t tag_len = sizeof(lockers_out->tag);
	size_t sizes[3] = { 4096, 16384, 4096 };
	char *lists[3] = { NULL, NULL, NULL };
	int exclusive = 0;
	char header[80];
	ssize_t n;
	size_t i;

	memset(lockers_out, 0, sizeof(*lockers_out));
	header_of(image, header);
	do {
		n = 0;
		for (i = 0; i < 3; i++) {
			free(lists[i]);
			lists[i] = malloc(sizes[i]);
			if (!lists[i])
				n = -ENOMEM;
		}
		if (n < 0)
			break;
		xlrbd__ceph_arm(ceph);
		n = rados_list_lockers(ceph->io, header, name, &exclusive,
				       lockers_out->tag, &tag_len, lists[0],
				       &sizes[0], lists[1], &sizes[1],
				       lists[2], &sizes[2]);
		/* The sizes now say what is needed; ask again with those. */
	} while (n == -ERANGE && tag_len <= sizeof(lockers_out->tag));
	lockers_out->exclusive = exclusive;
	if (n >= 0)
		n = split_lists(n, lists[0], lists[1], lists[2], lockers_out);
	for (i = 0; i < 3; i++)
		free(lists[i]);
	if (n < 0)
		xlrbd__lockers_dispose(lockers_out);
	/* An object without the lock has no lockers. */
	return n == -ENOENT ? 0 : n;
}

void xlrbd__lockers_dispose(struct xlrbd__lockers *lockers)
{
	size_t i;

	for (i = 0; i < lockers->n; i++) {
		free(lockers->v[i].client);
		free(lockers->v[i].cookie);
		free(lockers->v[i].addr);
	}
	free(lockers->v);
	lockers->v = NULL;
	lockers->n = 0;
}
