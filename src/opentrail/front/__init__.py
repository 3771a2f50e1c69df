# SPDX-License-Identifier: Apache-2.0
"""The front process: the gateway, the log's only writer, and the keeper of the back process."""
