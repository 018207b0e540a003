// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

/* ceph.c */

int xlrbd__ceph_connect(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
			const struct xlrbd__deadline *deadline,
			struct xlrbd__ceph **ceph_out)
{
	int rc = fake_step(ctx, "connect");

	(void)spec;
	(void)deadline;
	if (rc < 0)
		return rc;
	fake.connections++;
	*ceph_out = (struct xlrbd__ceph *)&fake_handle;
	return 0;
}

void xlrbd__ceph_close(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph)
{
	(void)ctx;
	if (ceph)
		fake.connections--;
}

void xlrbd__ceph_until(struct xlrbd__ceph *ceph,
		       const struct xlrbd__deadline *deadline)
{
	(void)ceph;
	(void)deadline;
}

int xlrbd__ceph_open_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, const char *what,
			   struct xlrbd__image *image_out)
{
	(void)ceph;
	(void)what;
	memset(image_out, 0, sizeof(*image_out));
	strcpy(image_out->id, "1234");
	image_out->features = fake.features;
	image_out->size = fake.size;
	snprintf(image_out->pool, sizeof(image_out->pool), "%s",
		 spec->pool ? spec->pool : XLRBD__DEFAULT_POOL);
	snprintf(image_out->name, sizeof(image_out->name), "%s", spec->image);
	return fake_step(ctx, "open-image");
}

int xlrbd__ceph_describe(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 struct xlrbd__image *image, const char *what)
{
	(void)ceph;
	(void)what;
	image->features = fake.features;
	return fake_step(ctx, "describe");
}

static void watch(struct xlrbd__watchers *watchers, const char *addr)
{
	watchers->v[watchers->n++] = strdup(addr);
}

int xlrbd__ceph_watchers(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image, const char *what,
			 struct xlrbd__watchers *watchers_out)
{
	int rc = fake_step(ctx, "watchers");
	struct xlrbd__cookie cookie;
	size_t i;

	(void)ceph;
	(void)image;
	(void)what;
	if (rc < 0)
		return rc;
	watchers_out->n = 0;
	watchers_out->v = calloc(FAKE_LOCKERS_MAX + 1, sizeof(char *));
	if (fake.watched_addr)
		watch(watchers_out, fake.watched_addr);
	for (i = 0; fake.watched && i < fake.n_lockers; i++)
		if (xlrbd__cookie_parse(fake.lockers[i].cookie, &cookie))
			watch(watchers_out, cookie.addr);
	return 0;
}

int xlrbd__ceph_share(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		      struct xlrbd__ceph **copy_out)
{
	(void)ctx;
	*copy_out = (struct xlrbd__ceph *)ceph;
	fake.connections++;
	return 0;
}

/* One image each time, so that scan.c needs no other thread. */
int xlrbd__ceph_list_images(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd_spec *pool, const char *what,
			    struct xlrbd__image **images_out, size_t *n_out)
{
	int rc = fake_step(ctx, "list-images");

	(void)ceph;
	(void)pool;
	(void)what;
	if (rc < 0)
		return rc;
	*images_out = calloc(1, sizeof(**images_out));
	strcpy((*images_out)->pool, "rbd");
	strcpy((*images_out)->name, "web1");
	strcpy((*images_out)->id, "1234");
	*n_out = 1;
	return 0;
}

int xlrbd__ceph_each_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  xlrbd__pool_fn *fn, void *data)
{
	char pool[] = "rbd";
	struct xlrbd_spec spec = { .pool = pool };
	int rc = fake_step(ctx, "list-pools");

	(void)ceph;
	return rc < 0 ? rc : fn(data, &spec);
}

int xlrbd__ceph_fence(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const char *addr, int64_t seconds)
{
	(void)ceph;
	(void)addr;
	/* Longer than any host can be away. */
	if (seconds < 365 * 24 * 3600)
		return xlrbd__fail(ctx, -EINVAL, "too short");
	return fake_step(ctx, "fence");
}

int xlrbd__ceph_blocklist(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  char **list_out)
{
	int rc = fake_step(ctx, "blocklist");

	(void)ceph;
	if (!rc)
		*list_out = strdup(fake.blocklist ? fake.blocklist : "[]");
	return rc;
}

int xlrbd__ceph_fail(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		     int r, const char *tried, const char *what)
{
	(void)ceph;
	return xlrbd__fail(ctx, r, "%s %s: %s", tried, what, strerror(-r));
}

int xlrbd__ceph_open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image)
{
	(void)ceph;
	(void)image;
	return fake_step(ctx, "open-pool");
}

void xlrbd__ceph_client(struct xlrbd__ceph *ceph, char out[32])
{
	(void)ceph;
	strcpy(out, "client.100");
}

static const char *state_of(const char *cookie)
{
	return strstr(cookie, ",held,") ? "held" :
	       strstr(cookie, ",fenced,") ? "fenced" : "pending";
}

void fake_lock(const char *lock, const char *tag, bool exclusive,
	       const char *client, const char *cookie)
{
	struct fake_locker *locker = &fake.lockers[fake.n_lockers++];

	snprintf(locker->lock, sizeof(locker->lock), "%s", lock);
	snprintf(locker->tag, sizeof(locker->tag), "%s", tag);
	snprintf(locker->client, sizeof(locker->client), "%s", client);
	snprintf(locker->cookie, sizeof(locker->cookie), "%s", cookie);
	locker->exclusive = exclusive;
}

size_t fake_count(const char *state)
{
	size_t i, n = 0;

	for (i = 0; i < fake.n_lockers; i++)
		n += !state || !strcmp(state_of(fake.lockers[i].cookie),
				       state);
	return n;
}

void fake_break(const char *client, const char *state)
{
	size_t i = 0;

	while (i < fake.n_lockers) {
		struct fake_locker *locker = &fake.lockers[i];

		if (!strcmp(locker->client, client) &&
		    !strcmp(state_of(locker->cookie), state))
			*locker = fake.lockers[--fake.n_lockers];
		else
			i++;
	}
}

int xlrbd__ceph_lock_shared(struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *name,
			    const char *tag, const char *cookie)
{
	char what[32];
	size_t i;
	int rc;

	(void)ceph;
	(void)image;
	snprintf(what, sizeof(what), "add-%s", state_of(cookie));
	rc = fake_step(NULL, what);
	if (rc < 0)
		return rc;
	for (i = 0; i < fake.n_lockers; i++)
		if (!strcmp(fake.lockers[i].lock, name) &&
		    (fake.lockers[i].exclusive ||
		     strcmp(fake.lockers[i].tag, tag) != 0))
			return -EBUSY;
	fake_lock(name, tag, false, "client.100", cookie);
	return 0;
}

int xlrbd__ceph_lock_list(struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image, const char *name,
			  struct xlrbd__lockers *lockers_out)
{
	char what[32];
	size_t i;
	int rc;

	(void)ceph;
	(void)image;
	memset(lockers_out, 0, sizeof(*lockers_out));
	fake.n_lists++;
	if (fake.on_list)
		fake.on_list();
	snprintf(what, sizeof(what), "list-%s", name);
	rc = fake_step(NULL, what);
	if (rc < 0)
		return rc;
	lockers_out->v = calloc(FAKE_LOCKERS_MAX, sizeof(*lockers_out->v));
	for (i = 0; i < fake.n_lockers; i++) {
		struct fake_locker *from = &fake.lockers[i];
		struct xlrbd__locker *to;

		if (strcmp(from->lock, name) != 0)
			continue;
		to = &lockers_out->v[lockers_out->n++];
		to->client = strdup(from->client);
		to->cookie = strdup(from->cookie);
		to->addr = strdup("10.0.0.1:0/1");
		lockers_out->exclusive = from->exclusive;
		strcpy(lockers_out->tag, from->tag);
	}
	return 0;
}

int xlrbd__ceph_lock_break(struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *name,
			   const char *client, const char *cookie)
{
	char what[32];
	int rc;

	(void)ceph;
	(void)image;
	(void)name;
	snprintf(what, sizeof(what), "break-%s", state_of(cookie));
	rc = fake_step(NULL, what);
	if (!rc)
		fake_break(client, state_of(cookie));
	return rc;
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
	memset(lockers, 0, sizeof(*lockers));
}
