// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * add and remove, as jobs in threads of their own.
 *
 * The kernel's waits end when the writer is killed; calls to librbd cannot be
 * ended.  So the writer waits for a job and may leave it; a map job that is
 * left undoes what it has done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "standin.h"

struct state state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	/* linux 6.1: RBD_FEATURES_ALL, that is all but journaling */
	.features = 0x1bf,
};

struct job {
	struct device *device;
	pid_t tid;
	bool cancelled;		/* the writer was killed */
	bool left;		/* and has gone: nobody will look at this */
	bool unkillable;
	bool done;
	int result;
};

static struct timespec after(double seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += (time_t)seconds;
	t.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool is_past(const struct timespec *t)
{
	struct timespec now = after(0);

	return now.tv_sec > t->tv_sec ||
	       (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

/* Sleeps as the test said, unless the writer is killed.  With the lock. */
static void wait_delay(const struct delay *delay, struct job *job)
{
	struct timespec end = after(delay->seconds);
	unsigned int releases = state.releases;

	if (!delay->seconds)
		return;
	job->unkillable = delay->unkillable;
	while (!job->cancelled && releases == state.releases &&
	       !is_past(&end))
		pthread_cond_timedwait(&state.changed, &state.lock, &end);
	job->unkillable = false;
}

static int take_fault(struct fault *fault)
{
	if (!fault->error || !fault->times)
		return 0;
	fault->times--;
	return -fault->error;
}

static bool is_cancelled(const struct job *job)
{
	bool cancelled;

	pthread_mutex_lock(&state.lock);
	cancelled = job->cancelled;
	pthread_mutex_unlock(&state.lock);
	return cancelled;
}

static int run_map(struct job *job)
{
	static int (*const steps[])(struct device *) = {
		device_connect, device_open, device_lock,
	};
	size_t i;
	int r;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (is_cancelled(job))
			return -EINTR;
		r = steps[i](job->device);
		if (r < 0)
			return r;
	}
	return 0;
}

struct device *device_find(int id)
{
	struct device *device;

	for (device = state.devices; device; device = device->next)
		if (device->id == id)
			break;
	return device;
}

struct device *device_get(int id)
{
	struct device *device;

	pthread_mutex_lock(&state.lock);
	device = device_find(id);
	if (device)
		device->users++;
	pthread_mutex_unlock(&state.lock);
	return device;
}

void device_put(struct device *device)
{
	pthread_mutex_lock(&state.lock);
	device->users--;
	pthread_cond_broadcast(&state.changed);
	pthread_mutex_unlock(&state.lock);
}

/* With the lock. */
static void publish(struct device *device)
{
	device->id = 0;
	while (device_find(device->id))
		device->id++;
	device->next = state.devices;
	state.devices = device;
	state.mapped++;
}

/* Ends the job; whoever looks at it last frees it. */
static void finish(struct job *job, int result)
{
	pthread_mutex_lock(&state.lock);
	job->result = result;
	job->done = true;
	pthread_cond_broadcast(&state.changed);
	if (job->left)
		free(job);
	pthread_mutex_unlock(&state.lock);
}

static void *map_thread(void *arg)
{
	struct job *job = arg;
	struct delay delay;
	int r;

	pthread_mutex_lock(&state.lock);
	delay = state.map_delay;
	state.map_delay.seconds = 0;
	if (!delay.done_first)
		wait_delay(&delay, job);
	r = take_fault(&state.map_fault);
	pthread_mutex_unlock(&state.lock);

	if (!r)
		r = run_map(job);

	pthread_mutex_lock(&state.lock);
	if (!r && delay.done_first)
		wait_delay(&delay, job);
	if (!r && job->cancelled)
		r = -EINTR;
	if (!r)
		publish(job->device);
	else if (r == -EINTR)
		state.undone++;
	else
		state.failed++;
	pthread_mutex_unlock(&state.lock);
	/* Undone before the writer is told, and before its process ends. */
	if (r < 0)
		device_close(job->device);
	finish(job, r);
	return NULL;
}

static void *unmap_thread(void *arg)
{
	struct job *job = arg;
	struct device **link;
	struct delay delay;

	pthread_mutex_lock(&state.lock);
	delay = state.unmap_delay;
	state.unmap_delay.seconds = 0;
	/* del_gendisk() flushes, and cannot be killed. */
	delay.unkillable = true;
	if (!delay.done_first)
		wait_delay(&delay, job);
	for (link = &state.devices; *link != job->device;
	     link = &(*link)->next)
		;
	*link = job->device->next;
	state.unmapped++;
	while (job->device->users)
		pthread_cond_wait(&state.changed, &state.lock);
	pthread_mutex_unlock(&state.lock);

	device_close(job->device);

	if (delay.done_first) {
		pthread_mutex_lock(&state.lock);
		wait_delay(&delay, job);
		pthread_mutex_unlock(&state.lock);
	}
	finish(job, 0);
	return NULL;
}

/*
 * Waits for the job.  Once the writer is killed the job has another second to
 * undo; then the writer goes without it, as the kernel's killable waits all
 * return at once.
 */
static int wait_job(struct job *job, killed_fn *killed, unsigned int timeout)
{
	struct timespec limit = after(timeout), grace = { 0 };
	int result = -EINTR;

	pthread_mutex_lock(&state.lock);
	while (!job->done) {
		struct timespec tick = after(0.02);

		pthread_cond_timedwait(&state.changed, &state.lock, &tick);
		if (job->done || job->unkillable)
			continue;
		if (job->cancelled && is_past(&grace))
			break;
		if (!job->cancelled && timeout && is_past(&limit))
			result = -ETIMEDOUT;
		else if (job->cancelled || !killed(job->tid))
			continue;
		job->cancelled = true;
		grace = after(1);
		pthread_cond_broadcast(&state.changed);
	}
	if (!job->done) {
		job->left = true;
		pthread_mutex_unlock(&state.lock);
		return result;
	}
	if (!job->cancelled || job->result != -EINTR)
		result = job->result;
	pthread_mutex_unlock(&state.lock);
	free(job);
	return result;
}

static int start_job(struct job *job, void *(*run)(void *))
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run, job);

	if (!r)
		pthread_detach(thread);
	return -r;
}

static struct job *job_new(struct device *device, pid_t tid)
{
	struct job *job = calloc(1, sizeof(*job));

	job->device = device;
	job->tid = tid;
	return job;
}

int krbd_add(const char *text, pid_t tid, killed_fn *killed)
{
	struct device *device = calloc(1, sizeof(*device));
	unsigned int timeout;
	struct job *job;
	int r;

	device->id = -1;
	r = request_parse(&device->request, text, tid);
	if (r < 0) {
		pthread_mutex_lock(&state.lock);
		state.failed++;
		pthread_mutex_unlock(&state.lock);
		device_close(device);
		return r;
	}
	timeout = device->request.lock_timeout;
	job = job_new(device, tid);
	r = start_job(job, map_thread);
	if (r < 0) {
		device_close(device);
		free(job);
		return r;
	}
	return wait_job(job, killed, timeout);
}

/* With the lock. */
static int claim(int id, bool force, struct device **out)
{
	struct device *device = device_find(id);
	int r;

	if (!device)
		return -ENOENT;
	if (device->open_count && !force)
		return -EBUSY;
	if (device->removing)
		return -EINPROGRESS;
	r = take_fault(&state.unmap_fault);
	if (!r)
		device->removing = true;
	*out = device;
	return r;
}

int krbd_remove(const char *text, pid_t tid, killed_fn *killed)
{
	struct device *device = NULL;
	char option[6] = "";
	unsigned int timeout = 0;
	struct job *job;
	int id = -1, r;

	sscanf(text, "%d %5s", &id, option);
	if (id < 0 || (*option && strcmp(option, "force")))
		return -EINVAL;
	pthread_mutex_lock(&state.lock);
	r = claim(id, *option, &device);
	if (!r)
		timeout = device->request.mount_timeout;
	pthread_mutex_unlock(&state.lock);
	if (r < 0)
		return r;
	job = job_new(device, tid);
	r = start_job(job, unmap_thread);
	if (r < 0) {
		free(job);
		return r;
	}
	/* A cluster that is gone does not keep the device (since 4.2). */
	r = wait_job(job, killed, timeout);
	return r == -ETIMEDOUT ? 0 : r;
}
