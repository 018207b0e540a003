// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One map is one image that librbd holds open, by a rados client that maps
 * with equal options share.  To the cluster, and to other hosts, that is what
 * a map by the kernel is: a client address, a watch, the managed lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <rbd/features.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define NO_SNAP	((uint64_t)-2)	/* CEPH_NOSNAP */

struct client {
	struct client *next;
	rados_t cluster;
	int refs;
	bool noshare;
	char *mons, *shared;
	char secret[256];
	char addr[128], id[32], fsid[40];
};

/* As in the kernel, one at a time makes or looks for a client. */
static pthread_mutex_t client_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;

static int set_number(rados_t cluster, const char *option, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return rados_conf_set(cluster, option, text);
}

/* "1.2.3.4:6789,..." as legacy or msgr2 addresses. */
static void format_mon_host(const struct request *request, char *out,
			    size_t size)
{
	const char *type = request->msgr2 ? "v2:" : "v1:";
	const char *rest = request->mons;
	size_t used = 0;

	while (*rest && used < size) {
		size_t length = strcspn(rest, ",");

		used += snprintf(out + used, size - used, "%s%s%.*s",
				 used ? "," : "", type, (int)length, rest);
		rest += length + (rest[length] == ',');
	}
}

static int configure(rados_t cluster, const struct request *request)
{
	char mon_host[2048] = "";
	int r;

	format_mon_host(request, mon_host, sizeof(mon_host));
	r = rados_conf_set(cluster, "mon_host", mon_host);
	if (!r)
		r = rados_conf_set(cluster, "key", request->secret);
	if (!r)
		r = rados_conf_set(cluster, "auth_client_required", "cephx");
	if (!r)
		r = set_number(cluster, "client_mount_timeout",
			       request->mount_timeout);
	if (!r)
		r = set_number(cluster, "rados_osd_op_timeout",
			       request->osd_request_timeout);
	/* The kernel does not cache behind the page cache's back. */
	if (!r)
		r = rados_conf_set(cluster, "rbd_cache", "false");
	if (!r)
		r = rados_conf_set(cluster, "log_to_stderr", "false");
	/* For whoever has to look closer: "--debug-ms 1 --log-file ..." */
	if (!r)
		r = rados_conf_parse_env(cluster, "STANDIN_CEPH_ARGS");
	return r;
}

/* "v2:1.2.3.4:0/5" or "[v2:..,v1:..]" as the kernel shows it. */
static void normalise_addr(const char *text, char *out, size_t size)
{
	text += *text == '[';
	if (!strncmp(text, "v1:", 3) || !strncmp(text, "v2:", 3))
		text += 3;
	snprintf(out, size, "%.*s", (int)strcspn(text, ",]"), text);
}

static int identify(struct client *client)
{
	char *addrs;
	int r;

	r = rados_cluster_fsid(client->cluster, client->fsid,
			       sizeof(client->fsid));
	if (r < 0)
		return r;
	r = rados_getaddrs(client->cluster, &addrs);
	if (r < 0)
		return r;
	normalise_addr(addrs, client->addr, sizeof(client->addr));
	free(addrs);
	snprintf(client->id, sizeof(client->id), "client%" PRIu64,
		 rados_get_instance_id(client->cluster));
	return 0;
}

static void client_free(struct client *client)
{
	if (client->cluster)
		rados_shutdown(client->cluster);
	free(client->mons);
	free(client->shared);
	free(client);
}

static int client_create(const struct request *request, struct client **out)
{
	struct client *client = calloc(1, sizeof(*client));
	char name[160];
	int r;

	snprintf(name, sizeof(name), "client.%s",
		 *request->name ? request->name : "guest");
	client->mons = strdup(request->mons);
	client->shared = strdup(request->shared);
	client->noshare = request->noshare;
	strcpy(client->secret, request->secret);
	r = rados_create2(&client->cluster, "ceph", name, 0);
	if (!r)
		r = configure(client->cluster, request);
	if (!r)
		r = rados_connect(client->cluster);
	if (!r)
		r = identify(client);
	if (r < 0) {
		client_free(client);
		return r;
	}
	client->refs = 1;
	client->next = clients;
	clients = client;
	*out = client;
	return 0;
}

/* Like ceph_compare_options(), but takes the monitors literally. */
static bool client_fits(const struct client *client,
			const struct request *request)
{
	return !client->noshare && !request->noshare &&
	       !strcmp(client->mons, request->mons) &&
	       !strcmp(client->shared, request->shared) &&
	       !strcmp(client->secret, request->secret);
}

static int client_get(const struct request *request, struct client **out)
{
	struct client *client;
	int r = 0;

	/* libceph: "no secret set (for auth_x protocol)" */
	if (!*request->secret)
		return -EINVAL;
	pthread_mutex_lock(&client_mutex);
	for (client = clients; client; client = client->next)
		if (client_fits(client, request))
			break;
	if (client) {
		client->refs++;
		*out = client;
	} else {
		r = client_create(request, out);
	}
	pthread_mutex_unlock(&client_mutex);
	if (client)
		rados_wait_for_latest_osdmap(client->cluster);
	return r;
}

static void client_put(struct client *client)
{
	struct client **link;

	pthread_mutex_lock(&client_mutex);
	if (!--client->refs) {
		for (link = &clients; *link != client; link = &(*link)->next)
			;
		*link = client->next;
		client_free(client);
	}
	pthread_mutex_unlock(&client_mutex);
}

int device_connect(struct device *device)
{
	return client_get(&device->request, &device->client);
}

/* What the kernel does not know it cannot serve, or cannot write to. */
static int check_features(struct device *device)
{
	uint64_t missing;
	int r = rbd_get_features(device->image, &device->features);

	if (r < 0)
		return r;
	missing = device->features & ~state.features;
	missing &= device->request.read_only ? RBD_FEATURES_INCOMPATIBLE :
					       RBD_FEATURES_RW_INCOMPATIBLE;
	return missing ? -ENXIO : 0;
}

static int open_image(struct device *device)
{
	const struct request *request = &device->request;
	const char *snap = NULL;
	int r;

	if (strcmp(request->snap, "-"))
		snap = request->snap;
	/* Only a writable map watches the header. */
	if (request->read_only)
		r = rbd_open_read_only(device->io, request->image,
				       &device->image, snap);
	else
		r = rbd_open(device->io, request->image, &device->image, NULL);
	if (r < 0) {
		device->image = NULL;
		return r;
	}
	r = rbd_get_id(device->image, device->image_id,
		       sizeof(device->image_id));
	/* Format 1 images have no id; sysfs shows an empty one. */
	if (r == -EINVAL)
		r = 0;
	device->snap_id = NO_SNAP;
	if (!r && snap)
		r = rbd_snap_get_id(device->image, snap, &device->snap_id);
	return r;
}

int device_open(struct device *device)
{
	const struct request *request = &device->request;
	int r;

	device->pool_id = rados_pool_lookup(device->client->cluster,
					    request->pool);
	if (device->pool_id < 0)
		return (int)device->pool_id;
	r = rados_ioctx_create(device->client->cluster, request->pool,
			       &device->io);
	if (r < 0) {
		device->io = NULL;
		return r;
	}
	rados_ioctx_set_namespace(device->io, request->ns);
	r = open_image(device);
	return r < 0 ? r : check_features(device);
}

/*
 * The kernel gives up at a lock that no client of the image has taken;
 * librbd would try for ever (linux: get_lock_owner_info()).
 */
static int check_foreign_lock(struct device *device)
{
	char tag[256], clients_text[4096], cookies[4096], addrs[4096];
	size_t tag_len = sizeof(tag), clients_len = sizeof(clients_text);
	size_t cookies_len = sizeof(cookies), addrs_len = sizeof(addrs);
	char header[128];
	int exclusive;
	ssize_t n;

	snprintf(header, sizeof(header), "rbd_header.%s", device->image_id);
	n = rados_list_lockers(device->io, header, "rbd_lock", &exclusive, tag,
			       &tag_len, clients_text, &clients_len, cookies,
			       &cookies_len, addrs, &addrs_len);
	if (n == -ENOENT || n == 0)
		return 0;
	if (n < 0)
		return (int)n;
	return exclusive && !strcmp(tag, "internal") &&
	       !strncmp(cookies, "auto ", 5) ? 0 : -EBUSY;
}

int device_lock(struct device *device)
{
	const struct request *request = &device->request;
	int r;

	if (!(device->features & RBD_FEATURE_EXCLUSIVE_LOCK))
		return request->exclusive || request->lock_on_read ?
		       -EINVAL : 0;
	if (request->read_only)
		return 0;
	r = check_foreign_lock(device);
	if (r < 0)
		return r;
	/* One that is kept against others' requests: their maps get EROFS. */
	if (request->exclusive)
		return rbd_lock_acquire(device->image,
					RBD_LOCK_MODE_EXCLUSIVE);
	/* One that is handed over: librbd takes it at the first write. */
	return rbd_flush(device->image);
}

void device_close(struct device *device)
{
	if (device->image)
		rbd_close(device->image);
	if (device->io)
		rados_ioctx_destroy(device->io);
	if (device->client)
		client_put(device->client);
	request_dispose(&device->request);
	free(device);
}

const char *device_client_addr(const struct device *device)
{
	return device->client->addr;
}

const char *device_client_id(const struct device *device)
{
	return device->client->id;
}

const char *device_fsid(const struct device *device)
{
	return device->client->fsid;
}
