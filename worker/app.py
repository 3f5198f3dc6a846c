"""Configures the Celery app. A message only wakes a worker, so most of Celery is switched off."""

from __future__ import annotations

from celery import Celery

from worker.settings import get_settings

app = Celery("dartboard", broker=get_settings().redis_url.get_secret_value(), include=["worker.tasks"])
app.conf.update(
    broker_transport="worker.broker:Transport",
    # CUDA does not survive a fork; a new child after each wake-up frees all GPU memory.
    worker_pool="prefork",
    worker_pool_start_method="spawn",
    worker_concurrency=1,
    worker_max_tasks_per_child=1,
    # The child imports torch before it reports that it is alive.
    worker_proc_alive_timeout=120.0,
    # A wake-up waits for an idle worker, never behind a running job.
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    # Acknowledged early: the job's row is the truth, and a redelivery would be noise.
    task_acks_late=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    # A running job does not need the broker, however long it is away.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Access to the broker must not give control over the workers.
    worker_enable_remote_control=False,
    accept_content=["json"],
    worker_hijack_root_logger=False,
)
