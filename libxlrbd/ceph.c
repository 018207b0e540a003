// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The cluster: a connection that never waits past its deadline.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ceph.h"

#define DEFAULT_ID	"xen"
#define DEFAULT_CLUSTER	"ceph"

/*
 * librados waits for ever by default.  It looks at these two again for every
 * operation (ceph: Objecter::handle_conf_change()), so each gets just what is
 * left.  They count whole seconds.
 */
void xlrbd__ceph_arm(struct xlrbd__ceph *ceph)
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

struct task {
	int (*fn)(const void *data);
	char data[] __attribute__((aligned));
};

static void *run_task(void *arg)
{
	struct task *task = arg;
	int r = task->fn(task->data);

	free(task);
	return (void *)(intptr_t)r;
}

int xlrbd__ceph_in_time(struct xlrbd__ceph *ceph, int (*fn)(const void *data),
			const void *data, size_t size)
{
	struct timespec until = {
		.tv_sec = ceph->deadline->end_ms / 1000,
		.tv_nsec = ceph->deadline->end_ms % 1000 * 1000000,
	};
	struct task *task = malloc(sizeof(*task) + size);
	pthread_t thread;
	void *result;
	int r;

	if (!task)
		return -ENOMEM;
	task->fn = fn;
	memcpy(task->data, data, size);
	r = pthread_create(&thread, NULL, run_task, task);
	if (r) {
		free(task);
		return -r;
	}
	if (!pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &until))
		return (int)(intptr_t)result;
	pthread_detach(thread);
	ceph->in_use = true;
	return -ETIMEDOUT;
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
	case -EIO:
	case -EISDIR:
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
	xlrbd__ceph_arm(ceph);
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

void xlrbd__ceph_close(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph)
{
	if (!ceph)
		return;
	if (ceph->io)
		rados_ioctx_destroy(ceph->io);
	if (!ctx->final && !ceph->in_use)
		rados_shutdown(ceph->cluster);
	free(ceph);
}

void xlrbd__ceph_client(struct xlrbd__ceph *ceph, char out[32])
{
	snprintf(out, 32, "client.%" PRIu64,
		 rados_get_instance_id(ceph->cluster));
}

int xlrbd__ceph_fail(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
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

int xlrbd__ceph_open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image)
{
	int r;

	if (ceph->io)
		rados_ioctx_destroy(ceph->io);
	ceph->io = NULL;
	xlrbd__ceph_arm(ceph);
	r = rados_ioctx_create2(ceph->cluster, image->pool_id, &ceph->io);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "open pool", image->pool);
	rados_set_pool_full_try(ceph->io);
	rados_ioctx_set_namespace(ceph->io, image->ns);
	return 0;
}

int xlrbd__ceph_share(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		      struct xlrbd__ceph **copy_out)
{
	struct xlrbd__ceph *copy = malloc(sizeof(*copy));

	if (!copy)
		return xlrbd__fail_nomem(ctx);
	*copy = *ceph;
	copy->io = NULL;
	copy->in_use = true;
	*copy_out = copy;
	return 0;
}

int xlrbd__ceph_ask(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    const char *command, char **answer_out)
{
	char *status = NULL, *answer = NULL;
	size_t status_len, answer_len;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rados_mon_command(ceph->cluster, &command, 1, "", 0, &answer,
			      &answer_len, &status, &status_len);
	rados_buffer_free(status);
	if (r < 0) {
		rados_buffer_free(answer);
		if (r == -ETIMEDOUT)
			return xlrbd__fail(ctx, r,
					   "ask the monitors %s: they did not answer in time; see `ceph -s`",
					   command);
		return xlrbd__ceph_fail(ctx, ceph, r, "ask the monitors", command);
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

