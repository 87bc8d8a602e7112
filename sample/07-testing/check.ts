import './orders.spec.js';
