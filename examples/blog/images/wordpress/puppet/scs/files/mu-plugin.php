<?php
/*
Plugin Name: The container's own rules
Description: Nothing is fetched over HTTP, not even from the site itself: inside the container its public address may lead nowhere.
*/
add_filter('block_local_requests', '__return_true');
// No screens about updates that an image cannot have.
add_filter('site_status_tests', static function (array $tests): array {
    unset($tests['async']['loopback_requests'], $tests['async']['background_updates'], $tests['async']['dotorg_communication']);
    return $tests;
});
