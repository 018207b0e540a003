// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The cluster: the only file that includes librados and librbd.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define DEFAULT_ID	"xen"
#define DEFAULT_CLUSTER	"ceph"

struct xlrbd__ceph {
	rados_t cluster;
	rados_ioctx_t io;
	const struct xlrbd__deadline *deadline;
	int64_t op_timeout_s;	/* as librados was last told */
	char entity[80];	/* "client.xen" */
	char conf[256];
};

/*
 * librados waits for ever by default.  It looks at these two again for every
 * operation (ceph: Objecter::handle_conf_change()), so each gets just what is
 * left.  They count whole seconds.
 */
static void arm(struct xlrbd__ceph *ceph)
{
	int64_t left_s = (xlrbd__deadline_left(ceph->deadline) + 999) / 1000;
	char text[24];

	if (left_s < 1)
		left_s = 1;	/* 0 means for ever */
	if (left_s == ceph->op_timeout_s)
		return;
	snprintf(text, sizeof(text), "%" PRId64, left_s);
	rados_conf_set(ceph->cluster, "rados_osd_op_timeout", text);
	rados_conf_set(ceph->cluster, "rados_mon_op_timeout", text);
	ceph->op_timeout_s = left_s;
}

void xlrbd__ceph_until(struct xlrbd__ceph *ceph,
		       const struct xlrbd__deadline *deadline)
{
	ceph->deadline = deadline;
}

static int fail_conf(struct xlrbd_ctx *ctx, int r, const char *conf)
{
	return xlrbd__fail(ctx, r,
			   "ceph configuration %s: %s; copy it from the cluster or name it with conf= in target",
			   conf, strerror(-r));
}

static int fail_connect(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
			int r)
{
	char monitors[256] = "";
	char keyring[512] = "";

	rados_conf_get(ceph->cluster, "mon_host", monitors, sizeof(monitors));
	rados_conf_get(ceph->cluster, "keyring", keyring, sizeof(keyring));
	switch (r) {
	case -ETIMEDOUT:
		return xlrbd__fail(ctx, r,
				   "no monitor of %s (%s) answered in time; check the network and `ceph -s`",
				   ceph->conf, monitors);
	case -EACCES:
	case -EPERM:
		return xlrbd__fail(ctx, r,
				   "the monitors refuse %s: unknown cephx id or wrong key in %s; see `ceph auth get %s`",
				   ceph->entity, keyring, ceph->entity);
	case -ENOENT:
	case -EINVAL:
		return xlrbd__fail(ctx, r,
				   "no usable key for %s in %s; write one there with `ceph auth get-or-create %s`, or name another user with id= in target",
				   ceph->entity, keyring, ceph->entity);
	}
	return xlrbd__fail(ctx, r, "connect to the monitors %s as %s: %s",
			   monitors, ceph->entity, strerror(-r));
}

/* Nothing of librados' own may reach xl's terminal or start a service. */
static void silence(rados_t cluster)
{
	rados_conf_set(cluster, "log_to_stderr", "false");
	rados_conf_set(cluster, "err_to_stderr", "false");
	rados_conf_set(cluster, "log_to_file", "false");
	rados_conf_set(cluster, "admin_socket", "");
}

static int configure(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph)
{
	int64_t left_s = xlrbd__deadline_left(ceph->deadline) / 1000;
	char text[24];
	int r;

	r = rados_conf_read_file(ceph->cluster, ceph->conf);
	if (r < 0)
		return fail_conf(ctx, r, ceph->conf);
	silence(ceph->cluster);
	snprintf(text, sizeof(text), "%" PRId64, left_s > 1 ? left_s : 1);
	r = rados_conf_set(ceph->cluster, "client_mount_timeout", text);
	if (r < 0)
		return xlrbd__fail(ctx, r, "set client_mount_timeout: %s",
				   strerror(-r));
	arm(ceph);
	return 0;
}

int xlrbd__ceph_connect(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
			const struct xlrbd__deadline *deadline,
			struct xlrbd__ceph **ceph_out)
{
	const char *cluster = spec->cluster ? spec->cluster : DEFAULT_CLUSTER;
	struct xlrbd__ceph *ceph;
	int rc;

	ceph = calloc(1, sizeof(*ceph));
	if (!ceph)
		return xlrbd__fail_nomem(ctx);
	ceph->deadline = deadline;
	snprintf(ceph->entity, sizeof(ceph->entity), "client.%s",
		 spec->id ? spec->id : DEFAULT_ID);
	if (spec->conf)
		snprintf(ceph->conf, sizeof(ceph->conf), "%s", spec->conf);
	else
		snprintf(ceph->conf, sizeof(ceph->conf), "/etc/ceph/%s.conf",
			 cluster);
	rc = rados_create2(&ceph->cluster, cluster, ceph->entity, 0);
	if (rc < 0) {
		free(ceph);
		return xlrbd__fail(ctx, rc, "start librados: %s",
				   strerror(-rc));
	}
	rc = configure(ctx, ceph);
	if (!rc) {
		rc = rados_connect(ceph->cluster);
		if (rc < 0)
			rc = fail_connect(ctx, ceph, rc);
	}
	if (rc < 0) {
		rados_shutdown(ceph->cluster);
		free(ceph);
		return rc;
	}
	*ceph_out = ceph;
	return 0;
}

void xlrbd__ceph_close(struct xlrbd__ceph *ceph)
{
	if (!ceph)
		return;
	if (ceph->io)
		rados_ioctx_destroy(ceph->io);
	rados_shutdown(ceph->cluster);
	free(ceph);
}

void xlrbd__ceph_client(struct xlrbd__ceph *ceph, char out[32])
{
	snprintf(out, 32, "client.%" PRIu64,
		 rados_get_instance_id(ceph->cluster));
}

static int fail_op(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		   int r, const char *tried, const char *what)
{
	switch (r) {
	case -ETIMEDOUT:
		return xlrbd__fail(ctx, r,
				   "%s %s: the OSDs did not answer in time; see `ceph health detail`",
				   tried, what);
	case -EPERM:
	case -EACCES:
		return xlrbd__fail(ctx, r,
				   "%s %s: the caps of %s are too small; it needs mon 'profile rbd' osd 'profile rbd pool=...'",
				   tried, what, ceph->entity);
	}
	return xlrbd__fail(ctx, r, "%s %s: %s", tried, what, strerror(-r));
}

static int open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const struct xlrbd_spec *spec,
		     struct xlrbd__image *image)
{
	int r;

	rados_cluster_fsid(ceph->cluster, image->fsid, sizeof(image->fsid));
	snprintf(image->pool, sizeof(image->pool), "%s",
		 spec->pool ? spec->pool : XLRBD__DEFAULT_POOL);
	arm(ceph);
	r = rados_ioctx_create(ceph->cluster, image->pool, &ceph->io);
	if (r == -ENOENT)
		return xlrbd__fail(ctx, r,
				   "no pool \"%s\" in cluster %s; see `ceph osd pool ls`",
				   image->pool, image->fsid);
	if (r < 0)
		return fail_op(ctx, ceph, r, "open pool", image->pool);
	image->pool_id = rados_ioctx_get_id(ceph->io);
	/* Lock entries must come and go on a full pool as well. */
	rados_set_pool_full_try(ceph->io);
	if (spec->ns) {
		snprintf(image->ns, sizeof(image->ns), "%s", spec->ns);
		rados_ioctx_set_namespace(ceph->io, spec->ns);
	}
	return 0;
}

int xlrbd__ceph_open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image)
{
	int r;

	arm(ceph);
	r = rados_ioctx_create2(ceph->cluster, image->pool_id, &ceph->io);
	if (r < 0)
		return fail_op(ctx, ceph, r, "open pool", image->pool);
	rados_set_pool_full_try(ceph->io);
	rados_ioctx_set_namespace(ceph->io, image->ns);
	return 0;
}

/* -ENOENT has two causes, and the admin wants to know which. */
static int fail_no_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image, const char *what)
{
	bool exists = true;
	int r = 0;

	if (image->ns[0]) {
		rados_ioctx_set_namespace(ceph->io, "");
		r = rbd_namespace_exists(ceph->io, image->ns, &exists);
	}
	if (!r && !exists)
		return xlrbd__fail(ctx, -ENOENT,
				   "no namespace \"%s\" in pool %s; see `rbd namespace ls %s`",
				   image->ns, image->pool, image->pool);
	return xlrbd__fail(ctx, -ENOENT, "%s: no such image; see `rbd ls %s%s%s`",
			   what, image->pool, image->ns[0] ? "/" : "",
			   image->ns);
}

static int check_snapshot(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  rbd_image_t rbd, const char *snap, const char *what)
{
	bool exists;
	int r;

	r = rbd_snap_exists(rbd, snap, &exists);
	if (r < 0)
		return fail_op(ctx, ceph, r, "look for snapshot", what);
	if (!exists)
		return xlrbd__fail(ctx, -ENOENT,
				   "%s: no such snapshot; see `rbd snap ls`",
				   what);
	return 0;
}

static int describe(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    rbd_image_t rbd, struct xlrbd__image *image,
		    const char *what)
{
	uint8_t old_format;
	int r;

	r = rbd_get_old_format(rbd, &old_format);
	if (!r && old_format)
		return xlrbd__fail(ctx, -EOPNOTSUPP,
				   "%s: format 1 image; copy it to format 2 with `rbd migration prepare` or `rbd cp`",
				   what);
	if (!r)
		r = rbd_get_features(rbd, &image->features);
	if (!r)
		r = rbd_get_id(rbd, image->id, sizeof(image->id));
	if (r < 0)
		return fail_op(ctx, ceph, r, "inspect", what);
	image->data_pool_id = rbd_get_data_pool_id(rbd);
	if (image->snap[0])
		return check_snapshot(ctx, ceph, rbd, image->snap, what);
	return 0;
}

int xlrbd__ceph_open_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, const char *what,
			   struct xlrbd__image *image_out)
{
	rbd_image_t rbd;
	int rc;

	memset(image_out, 0, sizeof(*image_out));
	snprintf(image_out->name, sizeof(image_out->name), "%s", spec->image);
	if (spec->snap)
		snprintf(image_out->snap, sizeof(image_out->snap), "%s",
			 spec->snap);
	rc = open_pool(ctx, ceph, spec, image_out);
	if (rc < 0)
		return rc;
	arm(ceph);
	/* Read-only: registers no watch, so it delays nobody. */
	rc = rbd_open_read_only(ceph->io, image_out->name, &rbd, NULL);
	if (rc == -ENOENT)
		return fail_no_image(ctx, ceph, image_out, what);
	if (rc < 0)
		return fail_op(ctx, ceph, rc, "open", what);
	rc = describe(ctx, ceph, rbd, image_out, what);
	rbd_close(rbd);
	return rc;
}

int xlrbd__ceph_ask(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    const char *command, char **answer_out)
{
	char *status = NULL, *answer = NULL;
	size_t status_len, answer_len;
	int r;

	arm(ceph);
	r = rados_mon_command(ceph->cluster, &command, 1, "", 0, &answer,
			      &answer_len, &status, &status_len);
	rados_buffer_free(status);
	if (r < 0) {
		rados_buffer_free(answer);
		return fail_op(ctx, ceph, r, "ask the monitors", command);
	}
	*answer_out = strndup(answer ? answer : "", answer_len);
	rados_buffer_free(answer);
	return *answer_out ? 0 : xlrbd__fail_nomem(ctx);
}

const char *xlrbd__ceph_entity(const struct xlrbd__ceph *ceph)
{
	return ceph->entity;
}

void xlrbd__ceph_conf(struct xlrbd__ceph *ceph, const char *option, char *out,
		      size_t size)
{
	if (rados_conf_get(ceph->cluster, option, out, size) < 0)
		out[0] = '\0';
}

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
	arm(ceph);
	return rados_lock_shared(ceph->io, header, name, cookie, tag, "", NULL,
				 0);
}

int xlrbd__ceph_lock_break(struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *name,
			   const char *client, const char *cookie)
{
	char header[80];

	header_of(image, header);
	arm(ceph);
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
		arm(ceph);
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
