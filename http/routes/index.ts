/**
 * The table of routes of the public contract, in the order of the page that describes it. Adding an endpoint is a declaration in
 * the file of its concern; the edge and the OpenAPI document take it from here.
 */
import type { App } from '../app.ts';
import type { AnyRoute } from '../route.ts';
import { adminAuditRoutes } from './admin-audit.ts';
import { adminCartRoutes } from './admin-carts.ts';
import { adminClusterRoutes } from './admin-cluster.ts';
import { adminCouponRoutes } from './admin-coupons.ts';
import { adminJobRoutes } from './admin-jobs.ts';
import { adminOrderRoutes } from './admin-orders.ts';
import { adminPricingRoutes } from './admin-pricing.ts';
import { adminProductRoutes } from './admin-products.ts';
import { adminRuleRoutes } from './admin-rules.ts';
import { adminStockRoutes } from './admin-stock.ts';
import { audited } from './audit.ts';
import { cartTermRoutes } from './cart-terms.ts';
import { cartRoutes } from './carts.ts';
import { checkoutRoutes } from './checkout.ts';
import { feedRoutes } from './feed.ts';
import { orderRoutes } from './orders.ts';
import { productRoutes } from './products.ts';
import { webhookRoutes } from './webhooks.ts';

export function allRoutes(app: App): AnyRoute[] {
  const shoppers = [productRoutes, cartRoutes, cartTermRoutes, checkoutRoutes, orderRoutes, feedRoutes, webhookRoutes];
  const operators = [
    adminProductRoutes,
    adminRuleRoutes,
    adminCouponRoutes,
    adminPricingRoutes,
    adminStockRoutes,
    adminOrderRoutes,
    adminCartRoutes,
    adminJobRoutes,
    adminAuditRoutes,
    adminClusterRoutes,
  ];
  return [
    ...shoppers.flatMap((routes) => routes(app)),
    ...operators.flatMap((routes) => routes(app)).map((route) => audited(app, route)),
  ];
}
